"""What a rule is asked, and what all rules share."""

import math
from typing import Protocol

PROTECTED_TRIALS = frozenset({0})
"""Trial 0 is the recipe itself: without its whole run there is nothing to compare with."""


class StoppingRule(Protocol):
    """Stops trials before their schedule has ended."""

    def observe(self, trial: int, epoch: int, value: float) -> bool:
        """Note the objective after an epoch and tell whether the trial goes on.

        Args:
            trial: Index of the trial.
            epoch: Completed epochs, from 1; an epoch told twice counts once.
            value: The objective as it was measured; NaN is worse than any number.
        """
        ...


class PromotionRule(Protocol):
    """Lets trials train complete schedules, of which the good ones earn a longer one."""

    def rungs(self, trial: int, num_epochs: int) -> tuple[int, ...]:
        """Lengths, in epochs and rising, that this trial trains before the whole schedule, if good.

        Args:
            trial: Index of the trial.
            num_epochs: Length of the trial's whole schedule.
        """
        ...

    def first_rung(self, trial: int, num_epochs: int) -> int | None:
        """The length of a trial's first schedule in epochs; None is the whole one at once."""
        ...

    def record(self, trial: int, rung: int, value: float, num_epochs: int) -> None:
        """Note that a rung's schedule has ended; told twice, it counts once.

        Args:
            trial: Index of the trial.
            rung: Length of the schedule in epochs.
            value: The objective at its end; NaN (or a training that failed) is never promoted.
            num_epochs: Length of the trial's whole schedule.
        """
        ...

    def next_promotion(self, *, last_call: bool) -> tuple[int, int | None] | None:
        """The trial to go on with and its next rung in epochs, None for the whole schedule.

        It counts as promoted from then on. None altogether: nobody has earned it yet.

        Args:
            last_call: No new trial will come, so that each rung promotes at least its best.
        """
        ...

    def promoted(self, trial: int, rung: int) -> None:
        """Note, after a restart, that a trial was promoted from this rung before."""
        ...


class NoStopping:
    """Every trial trains to its end; a `StoppingRule`."""

    def observe(self, trial: int, epoch: int, value: float) -> bool:
        """See `StoppingRule.observe`."""
        return True


def rungs_below(
    num_epochs: int, *, grace_epochs: int, reduction_factor: int, max_rungs: int | None = None
) -> tuple[int, ...]:
    """Rungs at grace * factor**k that are worth a complete schedule before the whole one.

    A rung that lies nearer to the whole schedule than to the rung before it, on a logarithmic
    scale, is left out: it would cost nearly as much as what it is to save.

    Args:
        num_epochs: Length of the whole schedule.
        grace_epochs: The first rung, at least 1.
        reduction_factor: From one rung to the next, at least 2.
        max_rungs: The whole schedule follows after so many at the latest; None sets no limit.
    """
    rungs, rung = [], grace_epochs
    while len(rungs) != max_rungs and rung * rung * reduction_factor <= num_epochs * num_epochs:
        rungs.append(rung)
        rung *= reduction_factor
    return tuple(rungs)


def check_rungs(grace_epochs: int, reduction_factor: int, max_rungs: int | None = None) -> None:
    """Refuse rungs that do not rise, and none at all.

    Raises:
        ValueError: If the grace period is below 1 epoch, the factor below 2, or there is no rung.
    """
    if max_rungs is not None and max_rungs < 1:
        raise ValueError(f"a rule has at least 1 rung, got max_rungs {max_rungs}")
    if grace_epochs < 1:
        raise ValueError(f"the grace period is at least 1 epoch, got {grace_epochs}")
    if reduction_factor < 2:
        raise ValueError(f"the reduction factor is at least 2, got {reduction_factor}")


def larger_is_better(value: float, *, maximize: bool) -> float:
    """The value with the sign that makes larger better; NaN becomes the worst of all."""
    if math.isnan(value):
        return -math.inf
    return value if maximize else -value
