"""Asynchronous successive halving of trials that are stopped in the middle of their schedule.

A trial that reaches a rung goes on only if it is among the best ``max(1, floor(n / factor))`` of
the n trials that have reached that rung so far, itself included. Nobody waits for anybody.

Source: Li et al. 2020, arXiv:1810.05934, whose top 1/eta of a rung this is; the others are
stopped instead of paused, as in Ray Tune.
"""

import math

from sweeps.rules.rule import PROTECTED_TRIALS, check_rungs, larger_is_better


class SuccessiveHalving:
    """The rungs of one sweep, and who passes them; a `StoppingRule`.

    Args:
        grace_epochs: The first rung, in epochs.
        reduction_factor: Rungs lie at grace * factor**k; one in ``factor`` trials passes each.
        maximize: Whether larger values are better.
        max_rungs: Who has passed so many is stopped no more; None sets no limit.
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

    def is_rung(self, epoch: int) -> bool:
        """Whether trials are compared after this many epochs."""
        rung, number = self._grace, 1
        while rung < epoch:
            rung, number = rung * self._factor, number + 1
        return rung == epoch and (self._max_rungs is None or number <= self._max_rungs)

    def observe(self, trial: int, epoch: int, value: float) -> bool:
        """See `StoppingRule.observe`; between rungs everybody goes on."""
        if not self.is_rung(epoch):
            return True
        at_rung = self._values.setdefault(epoch, {})
        own = at_rung.setdefault(trial, larger_is_better(value, maximize=self._maximize))
        if trial in PROTECTED_TRIALS:
            return True
        better = sum(other > own for other in at_rung.values())
        return own > -math.inf and better < max(1, len(at_rung) // self._factor)
