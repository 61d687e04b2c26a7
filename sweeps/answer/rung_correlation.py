"""Whether a rung ranks trials as the next longer schedule does: was early stopping fair?"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from sweeps.answer.statistics import spearman
from sweeps.early_stopping import MedianConfig
from sweeps.record import TrialRecord
from sweeps.spec import Sweep
from sweeps.sweep_checks import whole_epochs

WEAK_CORRELATION = 0.5
MIN_TRIALS = 10
"""For a word on a weak correlation: of fewer trials it is weak by chance too often."""


@dataclass(frozen=True)
class RungCorrelation:
    """Spearman's rank correlation of one rung with the next, over trials that reached both.

    Attributes:
        epochs: Of the rung.
        next_epochs: Of the next one, or of the whole schedule.
        value: From -1 to 1; None where it is not defined. Only trials that the rung let through
            have a next value, which makes it smaller than over all trials.
        num_trials: That it is of.
    """

    epochs: int
    next_epochs: int
    value: float | None
    num_trials: int

    @property
    def text(self) -> str:
        """One line for people, with what to do where a rung foretells little."""
        told = "not defined" if self.value is None else f"{self.value:.2f}"
        text = (
            f"Rank correlation of {self.epochs} with {self.next_epochs} epochs: {told} "
            f"({self.num_trials} trials reached both)"
        )
        if self.value is None or self.value >= WEAK_CORRELATION or self.num_trials < MIN_TRIALS:
            return text
        return f"{text}; what looks weak that early is not weak later: stop later (grace_period)"

    def to_dict(self) -> dict[str, Any]:
        """As ``-o json`` prints it."""
        return asdict(self)


def rung_correlations(
    sweep: Sweep, records: list[TrialRecord], histories: dict[int, list[dict[str, Any]]]
) -> list[RungCorrelation]:
    """Of each rung of the sweep's rule with the next; empty where nothing has rungs.

    Args:
        sweep: The sweep.
        records: Its trials.
        histories: Index -> epochs of the whole schedule.
    """
    config = sweep.spec.early_stopping
    if config is None:
        return []
    metric, whole = sweep.spec.objective.metric, whole_epochs(sweep.recipe)
    rungs = config.rungs(whole, whole)
    if isinstance(config.rule, MedianConfig):
        rungs = tuple(r for r in [config.rule.grace_epochs(whole)] if r < whole)
    if not rungs:
        return []
    values: dict[int, dict[int, float]] = {}  # epochs -> trial -> objective
    for record in records:
        for rung in record.rungs:
            values.setdefault(rung["epochs"], {})[record.index] = rung["value"]
        for point in histories[record.index]:
            is_end = record.status == "completed" and point["epoch"] == point["num_epochs"]
            if is_end or (not config.stretches and point["epoch"] in rungs):
                epochs = whole if is_end else point["epoch"]
                values.setdefault(epochs, {})[record.index] = point[metric]
    found = []
    for epochs, following in zip(rungs, [*rungs[1:], whole], strict=True):
        here, there = values.get(epochs, {}), values.get(following, {})
        both = [i for i in sorted(here.keys() & there.keys()) if math.isfinite(here[i] + there[i])]
        value = spearman([here[i] for i in both], [there[i] for i in both]) if both else None
        found.append(RungCorrelation(epochs, following, value, len(both)))
    return found
