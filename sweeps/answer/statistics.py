"""Intervals for means and differences, and rank correlation, from a handful of trainings.

Every interval is at 95 % unless told otherwise, and for the mean over seeds nobody has tried yet.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweeps.answer.student_t import CONFIDENCE, student_t_quantile


@dataclass(frozen=True)
class Interval:
    """A mean and how far from it the truth may be.

    Attributes:
        mean: Of the values.
        half_width: The interval is the mean plus or minus this; None for one value, which tells
            nothing about the next.
        n: How many values.
    """

    mean: float
    half_width: float | None
    n: int

    @property
    def low(self) -> float | None:
        """Lower end."""
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        """Upper end."""
        return None if self.half_width is None else self.mean + self.half_width

    def to_dict(self) -> dict[str, Any]:
        """As ``-o json`` prints it."""
        return {"mean": self.mean, "half_width": self.half_width, "n": self.n}


def mean_interval(
    values: Sequence[float], *, confidence: float = CONFIDENCE, step: float = 0.0
) -> Interval:
    """The mean of independent values and its interval from Student's t distribution.

    Args:
        values: At least one, all finite.
        confidence: That the interval holds the mean of all values there could be.
        step: Values are multiples of it, as accuracies are of 1 / number of images. Two or three
            that happen to be equal then do not make an interval of no width: the variance is taken
            to be at least that of rounding, step^2 / 12.

    Raises:
        ValueError: If there is no value, or one that is not finite.

    Source: Student 1908, "The probable error of a mean"; rounding: Sheppard 1898.
    """
    return _interval(values, confidence, least_variance=step**2 / 12)


def paired_difference(
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    confidence: float = CONFIDENCE,
    step: float = 0.0,
) -> Interval:
    """The mean of ours - theirs over the same seeds in the same order, and its interval.

    What a seed does to both (its split, its order of images) cancels within the pair, so this is
    narrower than the two means' own intervals suggest.

    Args:
        ours: One value per seed.
        theirs: Likewise.
        confidence: As in `mean_interval`.
        step: Of the values themselves; a difference of two has twice the variance of rounding.

    Raises:
        ValueError: If the lengths differ; also as in `mean_interval`.

    Source: Box, Hunter & Hunter 2005, "Statistics for Experimenters", section 3.2.
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    return _interval(differences, confidence, least_variance=step**2 / 6)


def combined_interval(
    differences_over_seeds: Sequence[float],
    image_standard_error: float,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The mean of paired differences, and an interval that is to hold for new seeds and new images.

    Seeds and images are crossed: each training is scored on the same n images. The variance of the
    overall mean is then the seeds' part plus the images' part,

        half width = t * sqrt(s^2 / n_seeds + image_standard_error^2),

    t with n_seeds - 1 degrees of freedom. It errs on the safe side twice: what is particular to one
    seed and one image at a time is counted in both parts, and the images' part, known far better
    than the seeds', gets the seeds' t.

    Args:
        differences_over_seeds: Ours - theirs on the whole split, one per seed.
        image_standard_error: Of the same difference, from `standard_error_of_paired_accuracy`.
        confidence: That the interval holds the true difference.

    Returns:
        With one seed: no interval, since one cannot tell what another would give.

    Source: Owen 2007, "The pigeonhole bootstrap", section 2, for the variance of a crossed mean.
    """
    return _interval(differences_over_seeds, confidence, added_variance=image_standard_error**2)


def standard_error_of_paired_accuracy(correct_a: ArrayLike, correct_b: ArrayLike) -> float:
    """Of the difference of two accuracies on the same images; images both get right cancel.

    Args:
        correct_a: Per image 1 if it was classified correctly, 0 if not; or the share of several
            trainings that did.
        correct_b: Of the other, for the same images in the same order.

    Raises:
        ValueError: If the lengths differ, or there are fewer than 2 images.

    Source: Miller 2024, "Adding error bars to evals", arXiv:2411.00640, on paired differences.
    """
    a, b = np.asarray(correct_a, dtype=float), np.asarray(correct_b, dtype=float)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError(
            f"needs two vectors of the same 2 or more images, got {a.shape} and {b.shape}"
        )
    return float(np.std(a - b, ddof=1) / math.sqrt(len(a)))


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Rank correlation; ties get the average of their ranks.

    Returns:
        From -1 to 1; None if undefined: fewer than 2 pairs, a side of which all values are equal,
        or a NaN.

    Raises:
        ValueError: If the lengths differ.

    Source: Spearman 1904, "The proof and measurement of association between two things".
    """
    if len(xs) != len(ys):
        raise ValueError(f"needs pairs, got {len(xs)} and {len(ys)} values")
    if len(xs) < 2 or np.isnan(xs).any() or np.isnan(ys).any():
        return None
    x, y = (ranks - ranks.mean() for ranks in (average_ranks(xs), average_ranks(ys)))
    norm = math.sqrt((x @ x) * (y @ y))
    return float(np.clip((x @ y) / norm, -1, 1)) if norm > 0 else None


def average_ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Ranks from 1, (n,); equal values share the average of theirs."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _interval(
    values: Sequence[float],
    confidence: float,
    *,
    least_variance: float = 0.0,
    added_variance: float = 0.0,
) -> Interval:
    if not values or not all(map(math.isfinite, values)):
        raise ValueError(f"needs at least one value, and all of them finite, got {list(values)}")
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    variance = max(variance, least_variance)
    t = student_t_quantile(n - 1, confidence)
    return Interval(mean, t * math.sqrt(variance / n + added_variance), n)
