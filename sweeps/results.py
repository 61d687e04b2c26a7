"""What a sweep has found, as plain rows: for the terminal, for JSON, for the tracker.

A trial is judged by its objective after the last epoch of its schedule, not by its luckiest epoch.
So only completed trials are ranked; a stopped one shows the value of the rung where it was
stopped, which is no measure of the recipe and is not compared.
"""

import math
from dataclasses import dataclass
from typing import Any

from resnet_core.dotted_paths import get_path
from sweeps.spec import ObjectiveConfig, Sweep
from sweeps.storage import SweepFolder, SweepState, TrialRecord


@dataclass(frozen=True)
class TrialRow:
    """One trial.

    Attributes:
        record: What the driver knows of it.
        epochs: Epochs trained.
        num_epochs: Epochs of its whole schedule.
        value: The objective after its last epoch, None before the first.
        rank: 1 is the best completed trial; None unless completed with a finite value.
        last: The metrics of its last epoch.
        varied: Recipe path -> value in this trial's recipe, for every key of the space.
    """

    record: TrialRecord
    epochs: int
    num_epochs: int | None
    value: float | None
    rank: int | None
    last: dict[str, Any]
    varied: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The row as ``-o json`` prints it."""
        return {
            "trial": self.record.id,
            "name": self.record.name,
            "status": self.record.status,
            "reason": self.record.reason,
            "rank": self.rank,
            "value": self.value,
            "epochs": self.epochs,
            "num_epochs": self.num_epochs,
            "worker_seconds": round(self.record.worker_seconds, 3),
            "start_seconds": self.record.start_seconds,
            "overrides": self.record.overrides,
            "metrics": {
                key: value
                for key, value in self.last.items()
                if isinstance(value, int | float) and key not in ("time", "first_step_at")
            },
        }


@dataclass(frozen=True)
class SweepResult:
    """A sweep's rows, in the order of the trials, and its state."""

    name: str
    objective: ObjectiveConfig
    state: SweepState
    rows: list[TrialRow]
    cost_unit: str  # "CPU-hours" or "GPU-hours"
    units_per_worker: float

    @property
    def best(self) -> TrialRow | None:
        """The completed trial with rank 1."""
        return next((row for row in self.rows if row.rank == 1), None)

    @property
    def baseline(self) -> TrialRow | None:
        """Trial 0, the recipe itself, once it has completed."""
        return next((r for r in self.rows if r.record.index == 0 and r.rank is not None), None)

    @property
    def cost(self) -> float:
        """Worker time times the CPUs (or GPUs) of a worker, in hours."""
        return sum(row.record.worker_seconds for row in self.rows) * self.units_per_worker / 3600

    def count(self, status: str) -> int:
        """How many trials have this status."""
        return sum(row.record.status == status for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as ``-o json`` prints it."""
        best, baseline = self.best, self.baseline
        return {
            "sweep": self.name,
            "id": self.state.id,
            "status": self.state.status,
            "objective": self.objective.model_dump(),
            "best": best.record.id if best else None,
            "gain_over_recipe": best.value - baseline.value
            if best and baseline and best.value is not None and baseline.value is not None
            else None,
            "test": self.state.test,
            "cost": {"unit": self.cost_unit, "hours": self.cost},
            "wall_seconds": self.state.wall_seconds,
            "trials": [row.to_dict() for row in self.rows],
        }


def read_result(folder: SweepFolder, sweep: Sweep) -> SweepResult:
    """Read a sweep's folder.

    Args:
        folder: Of a sweep that was begun, running or not.
        sweep: What is swept, for the objective and the size of a worker.
    """
    objective, resources = sweep.spec.objective, sweep.spec.resources
    records = folder.read_records()
    histories = {record.index: folder.history(record) for record in records}
    scores = {
        record.index: histories[record.index][-1][objective.metric]
        for record in records
        if record.status == "completed"
        and histories.get(record.index)
        and math.isfinite(histories[record.index][-1][objective.metric])
    }
    sign = -1 if objective.mode == "max" else 1
    order = sorted(scores, key=lambda index: (sign * scores[index], index))
    rows = []
    for record in records:
        history = histories.get(record.index, [])
        last = history[-1] if history else {}
        rows.append(
            TrialRow(
                record,
                epochs=last.get("epoch", 0),
                num_epochs=last.get("num_epochs"),
                value=last.get(objective.metric),
                rank=order.index(record.index) + 1 if record.index in scores else None,
                last=last,
                varied=varied_values(sweep, record.overrides),
            )
        )
    on_gpu = resources.gpus_per_worker > 0
    return SweepResult(
        folder.name,
        objective,
        folder.read_state(),
        rows,
        cost_unit="GPU-hours" if on_gpu else "CPU-hours",
        units_per_worker=resources.gpus_per_worker if on_gpu else resources.cpus_per_worker,
    )


def varied_values(sweep: Sweep, overrides: dict[str, Any]) -> dict[str, Any]:
    """What a trial's recipe holds at every key of the space; None where it holds nothing.

    Of whole sub-trees only what is not at its default, so that equal ones look alike however they
    were written.
    """
    recipe = sweep.recipe_for(overrides)
    whole, brief = recipe.to_dict(), recipe.to_dict(with_defaults=False)
    values: dict[str, Any] = {}
    for path in sweep.space:
        try:
            value = get_path(whole, path)
            values[path] = get_path(brief, path) if isinstance(value, dict) else value
        except KeyError:
            values[path] = None
    return values


def best_epoch(history: list[dict[str, Any]], objective: ObjectiveConfig) -> int:
    """The epoch with the best objective, the later one of equals; NaN is worst."""
    sign = 1 if objective.mode == "max" else -1

    def key(point: dict[str, Any]) -> tuple[float, int]:
        value = sign * point[objective.metric]
        return (-math.inf if math.isnan(value) else value, point["epoch"])

    return max(history, key=key)["epoch"]
