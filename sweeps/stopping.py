"""Stopping weak trials early: asynchronous successive halving.

The rule is the stopping form of ASHA: a trial that reaches a rung goes on only if it is among the
best ``max(1, floor(n / reduction_factor))`` of the n trials that have reached that rung so far,
itself included. Nobody waits for anybody. Written here, not taken from Tune, because Tune's
neither survives a restart of the driver (its rungs are lost), nor stops a trial whose metric is
NaN, nor spares the baseline.

Source: Li et al. 2020, arXiv:1810.05934, whose top 1/eta of a rung this is.
"""

import math
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from sweeps.spec import AshaConfig, ObjectiveConfig

PROTECTED_TRIALS = frozenset({0})
"""Trial 0 is the recipe itself: without its whole run there is nothing to compare with."""


class SuccessiveHalving:
    """The rungs of one sweep, and who passes them. Knows nothing of Ray.

    Args:
        grace_epochs: The first rung, in epochs.
        reduction_factor: Rungs lie at grace * factor**k; one in ``factor`` trials passes each.
        maximize: Whether larger values are better.
    """

    def __init__(self, *, grace_epochs: int, reduction_factor: int, maximize: bool) -> None:
        self._grace = grace_epochs
        self._factor = reduction_factor
        self._sign = 1.0 if maximize else -1.0
        self._values: dict[int, dict[int, float]] = {}  # rung -> trial -> value, larger is better

    def is_rung(self, epoch: int) -> bool:
        """Whether trials are compared after this many epochs."""
        rung = self._grace
        while rung < epoch:
            rung *= self._factor
        return rung == epoch

    def record(self, trial: int, epoch: int, value: float) -> None:
        """Note a trial's value at a rung, once; other epochs are ignored."""
        if self.is_rung(epoch):
            value = -math.inf if math.isnan(value) else self._sign * value
            self._values.setdefault(epoch, {}).setdefault(trial, value)

    def passes(self, trial: int, epoch: int, value: float) -> bool:
        """Note the value and tell whether the trial goes on.

        Args:
            trial: Index of the trial.
            epoch: Completed epochs, from 1.
            value: The objective after that epoch; NaN never passes a rung.
        """
        self.record(trial, epoch, value)
        if not self.is_rung(epoch) or trial in PROTECTED_TRIALS:
            return True
        own = self._values[epoch][trial]
        values = self._values[epoch].values()
        better = sum(other > own for other in values)
        return own > -math.inf and better < max(1, len(values) // self._factor)


class AshaScheduler(FIFOScheduler):
    """`SuccessiveHalving` as Tune asks for it: once per reported epoch."""

    def __init__(self, rungs: SuccessiveHalving, metric: str) -> None:
        super().__init__()
        self._rungs = rungs
        self._metric = metric

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop the trial if it does not pass its rung. Tune does not ask about last epochs."""
        passes = self._rungs.passes(trial.config["index"], result["epoch"], result[self._metric])
        return TrialScheduler.CONTINUE if passes else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """A finished trial's last epoch counts at its rung, for those that come after it."""
        if result["kind"] == "epoch":
            self._rungs.record(trial.config["index"], result["epoch"], result[self._metric])


def build_rungs(
    asha: AshaConfig, objective: ObjectiveConfig, histories: dict[int, list[dict[str, Any]]]
) -> SuccessiveHalving:
    """Rungs that know everything the sweep's trials have reported so far.

    Args:
        asha: Grace period and reduction factor.
        objective: What is compared, and which way.
        histories: Trial index -> its epochs, from the sweep's folder.
    """
    rungs = SuccessiveHalving(
        grace_epochs=asha.grace_epochs,
        reduction_factor=asha.reduction_factor,
        maximize=objective.mode == "max",
    )
    for trial, epochs in histories.items():
        for point in epochs:
            rungs.record(trial, point["epoch"], point[objective.metric])
    return rungs
