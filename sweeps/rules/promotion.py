"""Asynchronous successive halving by promotion: only complete schedules are compared.

Of the n trials whose schedule of a rung has ended, the best ``floor(n / factor)`` earn the next
rung, whose schedule they train from the beginning. While new trials come, nobody is promoted for
being early: until ``factor`` trials have ended a rung, it promotes none.

Source: Li et al. 2020, arXiv:1810.05934, algorithm 2. Its searches never end; ours do, so there is
a last call, after which each rung promotes at least its best, the lowest rung first, so that a
higher one decides among all that will reach it.
"""

import math

from sweeps.rules.rule import PROTECTED_TRIALS, check_rungs, larger_is_better, rungs_below


class SuccessivePromotion:
    """The rungs of one sweep, and who is promoted from them; a `PromotionRule`.

    Args:
        grace_epochs: The first rung, in epochs.
        reduction_factor: Rungs lie at grace * factor**k (`rungs_below` the whole schedule); one in
            ``factor`` trials is promoted from each.
        maximize: Whether larger values are better.
        max_rungs: From the last of so many, trials go to the whole schedule; None sets no limit.
    """

    def __init__(
        self,
        *,
        grace_epochs: int,
        reduction_factor: int,
        maximize: bool,
        max_rungs: int | None = None,
    ) -> None:
        check_rungs(grace_epochs, reduction_factor, max_rungs)
        self._max_rungs = max_rungs
        self._grace = grace_epochs
        self._factor = reduction_factor
        self._maximize = maximize
        self._values: dict[int, dict[int, float]] = {}  # rung -> trial -> value, larger is better
        self._promoted: dict[int, set[int]] = {}  # rung -> trials
        self._num_epochs: dict[int, int] = {}  # trial -> length of its whole schedule

    def rungs(self, trial: int, num_epochs: int) -> tuple[int, ...]:
        """See `PromotionRule.rungs`."""
        if trial in PROTECTED_TRIALS:
            return ()
        return rungs_below(
            num_epochs,
            grace_epochs=self._grace,
            reduction_factor=self._factor,
            max_rungs=self._max_rungs,
        )

    def first_rung(self, trial: int, num_epochs: int) -> int | None:
        """See `PromotionRule.first_rung`."""
        return next(iter(self.rungs(trial, num_epochs)), None)

    def record(self, trial: int, rung: int, value: float, num_epochs: int) -> None:
        """See `PromotionRule.record`."""
        value = larger_is_better(value, maximize=self._maximize)
        self._values.setdefault(rung, {}).setdefault(trial, value)
        self._num_epochs[trial] = num_epochs

    def next_promotion(self, *, last_call: bool) -> tuple[int, int | None] | None:
        """See `PromotionRule.next_promotion`."""
        for rung in sorted(self._values, reverse=not last_call):
            quota = max(len(self._values[rung]) // self._factor, int(last_call))
            for trial in self._best(rung)[:quota]:
                if trial not in self._promoted.get(rung, ()):
                    self.promoted(trial, rung)
                    return trial, self._after(trial, rung)
        return None

    def promoted(self, trial: int, rung: int) -> None:
        """See `PromotionRule.promoted`."""
        self._promoted.setdefault(rung, set()).add(trial)

    def _best(self, rung: int) -> list[int]:
        """Trials that may be promoted, the best first; of equals, the earlier trial."""
        values = self._values[rung]
        fit = [trial for trial in values if values[trial] > -math.inf]
        return sorted(set(fit) - PROTECTED_TRIALS, key=lambda trial: (-values[trial], trial))

    def _after(self, trial: int, rung: int) -> int | None:
        later = (r for r in self.rungs(trial, self._num_epochs[trial]) if r > rung)
        return next(later, None)
