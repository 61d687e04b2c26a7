"""The best candidates and the recipe, trained again with the same fresh seeds: who is best.

Each candidate is compared with the recipe seed by seed, on the validation split.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from sweeps.answer.final_test import FinalTest
from sweeps.answer.statistics import Interval, mean_interval, paired_difference

_ROUNDING = 1e-12  # equal means of different values may differ by so much

Outcome = Literal["better", "tie", "recipe", "one_seed", "none"]


@dataclass(frozen=True)
class Candidate:
    """A configuration that was trained again with fresh seeds: one of the best trials, or trial 0.

    Attributes:
        trial_id: ``t0007``.
        name: ``t0007 lr=0.8 width=16``.
        values: Seed -> objective on the validation split. A training that diverged is NaN; one
            that has no result for another reason is left out.
        mean_seconds: Worker seconds of a training; None if unknown.
    """

    trial_id: str
    name: str
    values: dict[int, float]
    mean_seconds: float | None = None

    @property
    def finite(self) -> dict[int, float]:
        """The values that are numbers."""
        return {seed: value for seed, value in self.values.items() if math.isfinite(value)}

    @property
    def diverged(self) -> list[int]:
        """Seeds whose training diverged."""
        return sorted(self.values.keys() - self.finite.keys())

    def to_dict(self) -> dict[str, Any]:
        """As ``-o json`` prints it; JSON has no NaN, so a training that diverged is null."""
        values = sorted(self.values.items())
        return {
            "trial": self.trial_id,
            "name": self.name,
            "values": [{"seed": s, "value": v if math.isfinite(v) else None} for s, v in values],
            "mean_seconds": self.mean_seconds,
        }


@dataclass(frozen=True)
class Confirmation:
    """What was measured.

    Attributes:
        candidates: In the order of their rank in the sweep.
        recipe: Trial 0, with the same seeds.
        maximize: Whether more of the metric is better.
        metric: ``val_accuracy``; metrics that end in accuracy are told in percentage points.
        test: None before, or without, the use of the test split.
        num_validation_images: Accuracies are multiples of 1 over it; None if unknown.
    """

    candidates: list[Candidate]
    recipe: Candidate
    maximize: bool
    metric: str
    test: FinalTest | None = None
    num_validation_images: int | None = None

    @property
    def is_accuracy(self) -> bool:
        """Whether the metric is a fraction of images."""
        return self.metric.endswith("accuracy")

    @property
    def seeds(self) -> list[int]:
        """Every seed that anyone was trained with."""
        return sorted({seed for one in (self.recipe, *self.candidates) for seed in one.values})

    @cached_property
    def comparisons(self) -> list["Comparison"]:
        """Each candidate against the recipe, in the order of the candidates."""
        return [_compare(self, candidate) for candidate in self.candidates]

    @property
    def step(self) -> float:
        """The distance of neighbouring values of the metric; 0 if there is none or unknown."""
        images = self.num_validation_images
        return 1 / images if self.is_accuracy and images else 0.0

    @property
    def nearest(self) -> "Comparison | None":
        """The candidate with the largest mean gain, which decides; the first of equals.

        A candidate that diverged with any seed is never it; one with a single seed only where no
        other has more.
        """
        able = [one for one in self.comparisons if one.gain and not one.candidate.diverged]
        several = [one for one in able if one.gain and one.gain.n > 1]
        return max(several or able, key=lambda one: one.gain.mean if one.gain else 0, default=None)

    @property
    def recipe_value(self) -> Interval | None:
        """The recipe's mean over its seeds, at 95 %; None without a value."""
        values = list(self.recipe.finite.values())
        return mean_interval(values, step=self.step) if values else None


@dataclass(frozen=True)
class Comparison:
    """A candidate against the recipe on the seeds for which both have a value.

    Attributes:
        candidate: Which.
        seeds: Those seeds.
        gain: How much better than the recipe, positive is better whatever the metric. Of k
            candidates all k intervals hold at once with 95 %, each at 1 - 0.05 / k (Bonferroni,
            Dunn 1961), so the one that is picked for being largest holds too. None without seeds.
        value: The candidate's own mean over its seeds, at 95 %; None without a value.
        cost_ratio: Its training's seconds over the recipe's; None if unknown.
    """

    candidate: Candidate
    seeds: list[int]
    gain: Interval | None
    value: Interval | None
    cost_ratio: float | None

    def to_dict(self) -> dict[str, Any]:
        """As ``-o json`` prints it."""
        return {
            **self.candidate.to_dict(),
            "seeds_compared": self.seeds,
            "gain": self.gain and self.gain.to_dict(),
            "value": self.value and self.value.to_dict(),
            "cost_ratio": self.cost_ratio,
        }


def choose(confirmation: Confirmation) -> Candidate:
    """The candidate with the best mean on validation, or the recipe where none is better.

    Means are compared as gains over the recipe on the seeds that both have, which is the same where
    no value is missing; see `Confirmation.nearest`.
    """
    decided = outcome(confirmation) in ("better", "tie", "one_seed")
    best = confirmation.nearest if decided else None
    return best.candidate if best else confirmation.recipe


def outcome(confirmation: Confirmation) -> Outcome:
    """In one word.

    Returns:
        better: the interval of the winner's gain lies above 0. tie: it contains 0. one_seed: there
        is none. recipe: no candidate's mean is above the recipe's. none: nothing can be compared.
    """
    best = confirmation.nearest
    if best is None or best.gain is None:
        return "none"
    if best.gain.mean <= _ROUNDING:
        return "recipe"
    if best.gain.low is None:
        return "one_seed"
    return "better" if best.gain.low > 0 else "tie"


def _compare(confirmation: Confirmation, candidate: Candidate) -> Comparison:
    ours, theirs = candidate.finite, confirmation.recipe.finite
    seeds = sorted(ours.keys() & theirs.keys())
    sign, step = 1 if confirmation.maximize else -1, confirmation.step
    gain = None
    if seeds:
        gain = paired_difference(
            [sign * ours[seed] for seed in seeds],
            [sign * theirs[seed] for seed in seeds],
            confidence=1 - 0.05 / len(confirmation.candidates),
            step=step,
        )
    seconds, recipe_seconds = candidate.mean_seconds, confirmation.recipe.mean_seconds
    return Comparison(
        candidate,
        seeds,
        gain,
        value=mean_interval(list(ours.values()), step=step) if ours else None,
        cost_ratio=seconds / recipe_seconds if seconds and recipe_seconds else None,
    )
