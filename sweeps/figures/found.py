"""What a sweep has found, read once for every picture; needs neither torch, Ray nor MLflow."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweeps.answer.results import SweepResult, TrialRow, read_result
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder
from sweeps.sweep_checks import whole_epochs


@dataclass(frozen=True)
class Curve:
    """One schedule that a trial has trained.

    Attributes:
        row: The trial.
        rung: Epochs of a shorter schedule; None is the whole one.
        points: One per epoch: what the worker measured.
    """

    row: TrialRow
    rung: int | None
    points: list[dict[str, Any]]


@dataclass(frozen=True)
class Found:
    """A sweep and everything that lies in its folder.

    Attributes:
        sweep: What was asked for.
        folder: Where it lies.
        result: Its rows, verdict and cost.
    """

    sweep: Sweep
    folder: SweepFolder
    result: SweepResult

    @property
    def metric(self) -> str:
        """Of the objective."""
        return self.result.objective.metric

    @property
    def maximize(self) -> bool:
        """Whether more of the metric is better."""
        return self.result.objective.mode == "max"

    @property
    def data_name(self) -> str:
        """Of the data set: ``digits``."""
        data = self.sweep.recipe.data
        return "no data" if data is None else data.chosen[0]

    @property
    def num_epochs(self) -> int:
        """Of the recipe's whole schedule."""
        return whole_epochs(self.sweep.recipe)

    @property
    def rungs(self) -> list[int]:
        """Epochs at which trials with the recipe's schedule are compared before its end."""
        stopping = self.sweep.spec.early_stopping
        return [] if stopping is None else list(stopping.rungs(self.num_epochs, self.num_epochs))

    @cached_property
    def curves(self) -> list[Curve]:
        """Of every trial that was trained: its rungs' schedules, then the whole one."""
        found = []
        for row in self.result.rows:
            if row.record.twin is not None:
                continue
            for rung in [*(one["epochs"] for one in row.record.rungs), None]:
                points = self.folder.history(row.record, rung)
                if points:
                    found.append(Curve(row, rung, points))
        return found

    @cached_property
    def values_by_epochs(self) -> dict[int, dict[int, float]]:
        """Epochs of training -> trial -> objective: what can be compared with each other.

        The ends of rungs' schedules and of whole ones; of a rule that watches one schedule on its
        way (``truncate``) the epochs of its rungs.
        """
        stopping = self.sweep.spec.early_stopping
        watched = [] if stopping is None or stopping.stretches else self.rungs
        found: dict[int, dict[int, float]] = {}
        for curve in self.curves:
            for point in curve.points:
                is_end = point["epoch"] == point["num_epochs"] or point["finished"]
                if is_end or (curve.rung is None and point["epoch"] in watched):
                    value = point[self.metric]
                    if math.isfinite(value):
                        found.setdefault(point["epoch"], {})[curve.row.record.index] = value
        return dict(sorted(found.items()))

    @cached_property
    def widest_rung(self) -> int | None:
        """The epochs at which most trials can be compared, the longer of equals; None without."""
        by_epochs = self.values_by_epochs
        return max(by_epochs, key=lambda epochs: (len(by_epochs[epochs]), epochs), default=None)


def read_found(folder: SweepFolder, sweep: Sweep) -> Found:
    """Read a sweep that was begun, running or not."""
    return Found(sweep, folder, read_result(folder, sweep))
