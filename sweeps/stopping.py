"""The rules of `rules.py` as Tune's schedulers, and as they stand after what was trained before."""

from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from sweeps.early_stopping import AshaConfig, HyperbandConfig, MedianConfig
from sweeps.memory import Memory
from sweeps.rules import (
    HyperbandPromotion,
    HyperbandStopping,
    MedianStopping,
    PromotionRule,
    StoppingRule,
    SuccessiveHalving,
    SuccessivePromotion,
)
from sweeps.spec import Sweep
from sweeps.sweep_checks import whole_epochs


@dataclass(frozen=True)
class Rules:
    """What the sweep's ``early_stopping`` comes to; at most one of them is there."""

    stopping: StoppingRule | None = None
    promotions: PromotionRule | None = None


def build_rules(sweep: Sweep, memory: Memory) -> Rules:
    """The rule of the sweep file; a stopping rule knows every epoch trained so far.

    Args:
        sweep: The sweep.
        memory: Its trials. (A promotion rule is told of them by the agenda.)
    """
    config = sweep.spec.early_stopping
    if config is None:
        return Rules()
    num_epochs = whole_epochs(sweep.recipe)
    options: dict[str, Any] = {"maximize": sweep.spec.objective.mode == "max"}
    match config.rule:
        case AshaConfig() as asha:
            options |= {
                "grace_epochs": asha.grace_epochs(num_epochs),
                "reduction_factor": asha.reduction_factor,
                "max_rungs": asha.max_rungs,
            }
            if config.stretches:
                return Rules(promotions=SuccessivePromotion(**options))
            rule: StoppingRule = SuccessiveHalving(**options)
        case HyperbandConfig() as hyperband:
            options |= {
                "grace_epochs": hyperband.grace_epochs(num_epochs),
                "reduction_factor": hyperband.reduction_factor,
            }
            options["num_epochs"] = num_epochs
            if config.stretches:
                return Rules(promotions=HyperbandPromotion(**options))
            rule = HyperbandStopping(**options)
        case MedianConfig() as median:
            rule = MedianStopping(
                grace_epochs=median.grace_epochs(num_epochs),
                min_trials=median.min_trials,
                **options,
            )
        case _:
            return Rules()  # a population stops nobody; `build_scheduler`
    for index in sorted(memory.curves):
        for epoch, value in sorted(memory.curves[index].items()):
            rule.observe(index, epoch, value)
    return Rules(stopping=rule)


class RuleScheduler(FIFOScheduler):
    """A `StoppingRule` as Tune asks for it: once per reported epoch."""

    def __init__(self, rule: StoppingRule, metric: str) -> None:
        super().__init__()
        self._rule = rule
        self._metric = metric

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop the trial if its rule says so. Tune does not ask about last epochs."""
        goes_on = self._observe(trial, result)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """A finished trial's last epoch counts, for those that come after it."""
        if result["kind"] == "epoch":
            self._observe(trial, result)

    def _observe(self, trial: Any, result: dict[str, Any]) -> bool:
        if trial.config["copy"]:
            return True  # a confirmation is trained to its end
        return self._rule.observe(trial.config["index"], result["epoch"], result[self._metric])
