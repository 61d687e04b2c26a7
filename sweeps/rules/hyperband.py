"""Hyperband: several successive halvings side by side, that begin at different rungs.

Which first rung is right is not known beforehand: a late one wastes epochs on hopeless trials, an
early one throws out trials that are slow to begin. So bracket s begins s rungs later than bracket
0, the last one with the whole schedule, and trials compete within their bracket only. Each bracket
gets the share of trials that Hyperband gives it; they are dealt out in a fixed order, so that any
number of trials, and any extension, is spread alike.

Source: Li et al. 2018, arXiv:1603.06560, algorithm 1; asynchronous brackets after Li et al. 2020,
arXiv:1810.05934.
"""

from functools import lru_cache

from sweeps.rules.halving import SuccessiveHalving
from sweeps.rules.promotion import SuccessivePromotion
from sweeps.rules.rule import (
    PROTECTED_TRIALS,
    NoStopping,
    StoppingRule,
    check_rungs,
    rungs_below,
)


def bracket_sizes(num_rungs: int, reduction_factor: int) -> tuple[int, ...]:
    """Trials of each bracket in one round of Hyperband, that with the earliest rung first.

    Args:
        num_rungs: Below the whole schedule; there is one bracket more.
        reduction_factor: Hyperband's eta.
    """
    halvings = range(num_rungs, -1, -1)  # that a bracket's trials go through
    return tuple(-(-(num_rungs + 1) * reduction_factor**s // (s + 1)) for s in halvings)


def bracket_of(trial: int, num_rungs: int, reduction_factor: int) -> int:
    """The bracket of a trial: of any run of trials, each bracket has its share but for one or two.

    Args:
        trial: Index; trial 0 is not dealt out and counts as of bracket 0.
        num_rungs: Below the whole schedule.
        reduction_factor: Hyperband's eta.
    """
    if trial in PROTECTED_TRIALS:
        return 0
    dealt = _deal(bracket_sizes(num_rungs, reduction_factor))
    return dealt[(trial - 1) % len(dealt)]


@lru_cache(maxsize=8)
def _deal(sizes: tuple[int, ...]) -> tuple[int, ...]:
    # Each turn goes to the bracket that is furthest behind its share (smooth weighted round robin).
    behind, dealt = [0] * len(sizes), []
    for _ in range(sum(sizes)):
        behind = [lag + size for lag, size in zip(behind, sizes, strict=True)]
        turn = behind.index(max(behind))
        behind[turn] -= sum(sizes)
        dealt.append(turn)
    return tuple(dealt)


class HyperbandStopping:
    """Brackets of `SuccessiveHalving`; a `StoppingRule`.

    Args:
        grace_epochs: The first rung of bracket 0, in epochs.
        reduction_factor: As `SuccessiveHalving`.
        num_epochs: Length of the recipe's whole schedule, which decides the number of brackets.
        maximize: Whether larger values are better.
    """

    def __init__(
        self, *, grace_epochs: int, reduction_factor: int, num_epochs: int, maximize: bool
    ) -> None:
        check_rungs(grace_epochs, reduction_factor)
        rungs = rungs_below(
            num_epochs, grace_epochs=grace_epochs, reduction_factor=reduction_factor
        )
        self._num_rungs = len(rungs)
        self._factor = reduction_factor
        self._brackets: list[StoppingRule] = [
            SuccessiveHalving(
                grace_epochs=rung, reduction_factor=reduction_factor, maximize=maximize
            )
            for rung in rungs
        ]
        self._brackets.append(NoStopping())

    def observe(self, trial: int, epoch: int, value: float) -> bool:
        """See `StoppingRule.observe`."""
        bracket = bracket_of(trial, self._num_rungs, self._factor)
        return self._brackets[bracket].observe(trial, epoch, value)


class HyperbandPromotion:
    """Brackets of `SuccessivePromotion`; a `PromotionRule`.

    Args:
        grace_epochs: The first rung of bracket 0, in epochs.
        reduction_factor: As `SuccessivePromotion`.
        num_epochs: Length of the recipe's whole schedule, which decides the number of brackets.
        maximize: Whether larger values are better.
    """

    def __init__(
        self, *, grace_epochs: int, reduction_factor: int, num_epochs: int, maximize: bool
    ) -> None:
        check_rungs(grace_epochs, reduction_factor)
        rungs = rungs_below(
            num_epochs, grace_epochs=grace_epochs, reduction_factor=reduction_factor
        )
        self._num_rungs = len(rungs)
        self._factor = reduction_factor
        self._brackets = [
            SuccessivePromotion(
                grace_epochs=rung, reduction_factor=reduction_factor, maximize=maximize
            )
            for rung in rungs
        ]

    def _bracket(self, trial: int) -> SuccessivePromotion | None:
        """None: its trials train the whole schedule at once."""
        number = bracket_of(trial, self._num_rungs, self._factor)
        return self._brackets[number] if number < self._num_rungs else None

    def rungs(self, trial: int, num_epochs: int) -> tuple[int, ...]:
        """See `PromotionRule.rungs`."""
        bracket = self._bracket(trial)
        return () if bracket is None else bracket.rungs(trial, num_epochs)

    def first_rung(self, trial: int, num_epochs: int) -> int | None:
        """See `PromotionRule.first_rung`."""
        return next(iter(self.rungs(trial, num_epochs)), None)

    def record(self, trial: int, rung: int, value: float, num_epochs: int) -> None:
        """See `PromotionRule.record`."""
        bracket = self._bracket(trial)
        if bracket is not None:
            bracket.record(trial, rung, value, num_epochs)

    def next_promotion(self, *, last_call: bool) -> tuple[int, int | None] | None:
        """See `PromotionRule.next_promotion`; bracket 0 is asked first."""
        promotions = (bracket.next_promotion(last_call=last_call) for bracket in self._brackets)
        return next((promotion for promotion in promotions if promotion is not None), None)

    def promoted(self, trial: int, rung: int) -> None:
        """See `PromotionRule.promoted`."""
        bracket = self._bracket(trial)
        if bracket is not None:
            bracket.promoted(trial, rung)
