"""What a sweep has found, as plain rows: for the terminal, for JSON, for the tracker.

A trial is judged by its objective after the last epoch of its schedule, not by its luckiest epoch.
So only completed trials are ranked; a stopped one shows the value of the rung where it was
stopped, which is no measure of the recipe and is not compared. A duplicate shows its twin's.
"""

import math
from dataclasses import dataclass
from typing import Any

from resnet_core.dotted_paths import get_path
from sweeps.answer.pareto import pareto_front
from sweeps.answer.rung_correlation import RungCorrelation, rung_correlations
from sweeps.answer.verdict import Verdict
from sweeps.answer.verdict_of import read_verdict
from sweeps.population.mutations import current_values, read_mutations
from sweeps.record import SweepState, TrialRecord
from sweeps.sections import Mode, ObjectiveConfig
from sweeps.spec import Sweep
from sweeps.spending import hours_per_worker_second
from sweeps.storage import SweepFolder
from sweeps.sweep_checks import whole_epochs


@dataclass(frozen=True)
class TrialRow:
    """One trial.

    Attributes:
        record: What the driver knows of it.
        epochs: Of the schedule that ``value`` is of: the whole one's so far, else the last rung's.
        num_epochs: Epochs of its whole schedule.
        value: The objective after those epochs, None before the first.
        rank: 1 is the best completed trial; None unless completed with a finite value.
        epochs_trained: Over all its schedules.
        last: The metrics of its last epoch.
        varied: Recipe path -> value in this trial's recipe, for every key of the space.
    """

    record: TrialRecord
    epochs: int
    num_epochs: int | None
    value: float | None
    rank: int | None
    epochs_trained: int
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
            "rungs": self.record.rungs,
            "twin": self.record.twin,
            "costs": self.record.costs,
            "overrides": self.record.overrides,
            "metrics": self.metrics,
        }

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers of its last epoch."""
        return numbers_of(self.last)


@dataclass(frozen=True)
class SweepResult:
    """A sweep's rows, in the order of the trials, and its state.

    Attributes:
        confirmations: Trainings with fresh seeds.
        verdict: What they say; None without any.
        correlations: Between one rung and the next.
        checkpoint_bytes: What its checkpoints take on the disk.
    """

    name: str
    objective: ObjectiveConfig
    state: SweepState
    rows: list[TrialRow]
    confirmations: list[TrialRecord]
    verdict: Verdict | None
    correlations: list[RungCorrelation]
    cost_unit: str  # "CPU-hours" or "GPU-hours"
    hours_per_worker_second: float
    checkpoint_bytes: int

    @property
    def best(self) -> TrialRow | None:
        """The completed trial with rank 1."""
        return next((row for row in self.rows if row.rank == 1), None)

    @property
    def winner(self) -> TrialRow | None:
        """What the sweep recommends: the confirmed winner, else the best trial."""
        if self.verdict is not None:
            chosen = self.verdict.winner.trial_id
            return next((row for row in self.rows if row.record.id == chosen), None)
        return self.best

    @property
    def baseline(self) -> TrialRow | None:
        """Trial 0, the recipe itself, once it has completed."""
        return next((r for r in self.rows if r.record.index == 0 and r.rank is not None), None)

    @property
    def pareto(self) -> list[TrialRow]:
        """Completed trials that no other beats in everything; empty without ``against``."""
        against = self.objective.against
        able = [
            row for row in self.rows if row.rank and all(c in row.record.costs for c in against)
        ]
        if not against:
            return []
        directions: list[Mode] = [self.objective.mode]
        for _ in against:
            directions.append("min")
        points = [[row.value, *(row.record.costs[cost] for cost in against)] for row in able]
        return [able[index] for index in pareto_front(points, directions)]

    @property
    def cost(self) -> float:
        """Worker time times the GPUs (CPUs without GPUs) of a worker, in hours, all told."""
        seconds = sum(row.record.worker_seconds for row in self.rows)
        return (seconds + self._confirm_seconds) * self.hours_per_worker_second

    @property
    def confirm_cost(self) -> float:
        """The confirmation's part of `cost`."""
        return self._confirm_seconds * self.hours_per_worker_second

    @property
    def _confirm_seconds(self) -> float:
        return sum(record.worker_seconds for record in self.confirmations)

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
            "reason": self.state.reason,
            "objective": self.objective.model_dump(mode="json"),
            "best": best.record.id if best else None,
            "winner": self.winner.record.id if self.winner else None,
            "gain_over_recipe": best.value - baseline.value
            if best and baseline and best.value is not None and baseline.value is not None
            else None,
            "confirmation": self.verdict.to_dict() if self.verdict else None,
            "pareto": [row.record.id for row in self.pareto],
            "rank_correlations": [one.to_dict() for one in self.correlations],
            "test": self.state.test,
            "cost": {
                "unit": self.cost_unit, "hours": self.cost, "confirm_hours": self.confirm_cost,
            },
            "wall_seconds": self.state.wall_seconds,
            "checkpoint_bytes": self.checkpoint_bytes,
            "trials": [row.to_dict() for row in self.rows],
        }  # fmt: skip


def read_result(folder: SweepFolder, sweep: Sweep) -> SweepResult:
    """Read a sweep's folder.

    Args:
        folder: Of a sweep that was begun, running or not.
        sweep: What is swept, for the objective and the size of a worker.
    """
    objective, resources = sweep.spec.objective, sweep.spec.resources
    records = folder.read_records()
    histories = {record.index: folder.history(record) for record in records}
    by_id = {record.id: record for record in records}
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
        trained = by_id[record.twin] if record.twin else record
        history = histories[trained.index]
        last = history[-1] if history else {}
        rung = trained.rungs[-1] if trained.rungs else {}
        rows.append(
            TrialRow(
                record,
                epochs=last.get("epoch", rung.get("epochs", 0)),
                num_epochs=last.get("num_epochs")
                or whole_epochs(sweep.recipe_for(record.overrides)),
                value=last.get(objective.metric, rung.get("value")),
                rank=order.index(record.index) + 1 if record.index in scores else None,
                epochs_trained=0
                if record.twin
                else len(history) + sum(one["epochs"] for one in record.rungs),
                last=last,
                varied=_varied_now(sweep, folder, record),
            )
        )
    state = folder.read_state()
    return SweepResult(
        folder.name,
        objective,
        state,
        rows,
        confirmations=folder.read_confirmations(),
        verdict=read_verdict(folder, sweep, state.test),
        correlations=rung_correlations(sweep, records, histories),
        cost_unit="GPU-hours" if resources.gpus_per_worker > 0 else "CPU-hours",
        hours_per_worker_second=hours_per_worker_second(resources),
        checkpoint_bytes=folder.checkpoint_bytes(),
    )


def numbers_of(point: dict[str, Any]) -> dict[str, float]:
    """What of a point in a trial's history was measured, without the moments it happened at."""
    return {
        key: value
        for key, value in point.items()
        if isinstance(value, int | float) and key not in ("time", "first_step_at")
    }


def _varied_now(sweep: Sweep, folder: SweepFolder, record: TrialRecord) -> dict[str, Any]:
    """`varied_values`, with what a population's member has taken over since."""
    values = varied_values(sweep, record.overrides)
    if read_mutations(folder.trial_folder(record)):
        values |= current_values(folder.trial_folder(record), list(values))
    return values


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
