"""Winner and recipe on the test split, which nothing is chosen by."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.correct_images import unpack_images
from sweeps.answer.statistics import Interval, combined_interval, standard_error_of_paired_accuracy
from sweeps.answer.student_t import student_t_quantile


@dataclass(frozen=True)
class Score:
    """One training on the test split.

    Attributes:
        accuracy: Fraction.
        num_images: Of the split.
        correct: Which of them, as `pack_images` writes it; None if unknown.
    """

    accuracy: float
    num_images: int
    correct: str | None = None


@dataclass(frozen=True)
class FinalTest:
    """The one use of the test split, by seed; ``winner`` is empty where the recipe itself won."""

    winner: dict[int, Score]
    recipe: dict[int, Score]


@dataclass(frozen=True)
class FinalDifference:
    """Winner - recipe in accuracy on the test split, over the seeds that both were tested with.

    Attributes:
        difference: At 95 %. For new seeds and new images; of one seed for new images only.
        num_images: Of the split.
        paired: Whether it is known which images each classified correctly; without, the images'
            part is that of two independent samples, which is too wide.
        accuracy: The winner's, mean over these seeds.
        recipe_accuracy: The recipe's.
    """

    difference: Interval
    num_images: int
    paired: bool
    accuracy: float
    recipe_accuracy: float


def final_difference(test: FinalTest) -> FinalDifference | None:
    """The winner against the recipe on the test split; None if no seed was tested with both.

    Raises:
        ValueError: If they were tested on different numbers of images.
    """
    seeds = sorted(test.winner.keys() & test.recipe.keys())
    if not seeds:
        return None
    ours, theirs = ([scores[seed] for seed in seeds] for scores in (test.winner, test.recipe))
    sizes = {score.num_images for score in (*ours, *theirs)}
    if len(sizes) > 1:
        raise ValueError(f"the test split had {sorted(sizes)} images; it must be the same")
    (num_images,) = sizes
    accuracy, recipe_accuracy = (
        math.fsum(score.accuracy for score in scores) / len(seeds) for scores in (ours, theirs)
    )
    correct, recipe_correct = _share_correct(ours), _share_correct(theirs)
    paired = correct is not None and recipe_correct is not None
    if correct is not None and recipe_correct is not None:
        error = standard_error_of_paired_accuracy(correct, recipe_correct)
    else:
        error = math.sqrt(sum(p * (1 - p) for p in (accuracy, recipe_accuracy)) / num_images)
    differences = [a.accuracy - b.accuracy for a, b in zip(ours, theirs, strict=True)]
    difference = combined_interval(differences, error)
    if len(seeds) == 1:
        difference = Interval(difference.mean, student_t_quantile(num_images - 1) * error, 1)
    return FinalDifference(difference, num_images, paired, accuracy, recipe_accuracy)


def _share_correct(scores: list[Score]) -> NDArray[np.float64] | None:
    """Per image the share of trainings that classified it correctly; None if unknown."""
    vectors = [
        unpack_images(score.correct, score.num_images)
        for score in scores
        if score.correct is not None
    ]
    return np.mean(vectors, axis=0) if len(vectors) == len(scores) else None
