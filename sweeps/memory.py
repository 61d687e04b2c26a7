"""What is known of a sweep's trials: read once from its folder, written back as it changes."""

import math
import time
from dataclasses import replace
from typing import Any

from sweeps.record import TrialRecord
from sweeps.space.domains import canonical
from sweeps.spec import Sweep
from sweeps.spending import Ledger
from sweeps.storage import SweepFolder
from sweeps.study import Seen

_OWN_FIELDS = ("index", "name", "overrides", "origin", "sampler")


class Memory:
    """The trials of one sweep.

    Attributes:
        records: Of the search, by index.
        confirmations: Trainings with fresh seeds, by id.
        curves: Index -> epochs -> the objective after so many epochs (of a rung's own schedule).
        ledger: What was spent and what runs.
    """

    def __init__(self, sweep: Sweep, folder: SweepFolder) -> None:
        self._sweep, self._folder = sweep, folder
        self._metric = sweep.spec.objective.metric
        self._sign = 1 if sweep.spec.objective.mode == "max" else -1
        self.ledger = Ledger()
        self.records = {record.index: record for record in folder.read_records()}
        self.confirmations = {record.id: record for record in folder.read_confirmations()}
        self.curves: dict[int, dict[int, float]] = {}
        for record in [*self.records.values(), *self.confirmations.values()]:
            history = folder.history(record)
            ended = [rung["epochs"] for rung in record.rungs]
            self.ledger.worker_seconds += record.worker_seconds
            self.ledger.epochs += len(history) + sum(ended)
            if record.rung is not None and record.rung not in ended:
                self.ledger.epochs += len(folder.history(record, record.rung))
            if record.copy == 0:
                self.curves[record.index] = {r["epochs"]: r["value"] for r in record.rungs}
                self.curves[record.index] |= {
                    point["epoch"]: float(point[self._metric]) for point in history
                }

    def write(self, record: TrialRecord, **changes: Any) -> TrialRecord:
        """Change a trial's record, here and in the folder; returns it."""
        record = replace(record, **changes)
        if record.ended or record.status == "paused":
            record = replace(record, ended_at=record.ended_at or time.time())
        else:
            record = replace(record, ended_at=None)
        if record.copy:
            self.confirmations[record.id] = record
        else:
            self.records[record.index] = record
            self.curves.setdefault(record.index, {})
        self._folder.write_record(record)
        return record

    def current(self, record: TrialRecord) -> TrialRecord:
        """The newest state of a trial."""
        return self.confirmations[record.id] if record.copy else self.records[record.index]

    def seen(self) -> list[Seen]:
        """What Optuna is told, by index; a duplicate is told as what its twin is."""
        by_id = {record.id: record for record in self.records.values()}
        found = []
        for index in sorted(self.records):
            record = self.records[index]
            twin = by_id[record.twin] if record.twin else record
            own = {name: getattr(record, name) for name in _OWN_FIELDS}
            costs = tuple(twin.costs.get(cost) for cost in self._sweep.spec.objective.against)
            found.append(Seen(replace(twin, **own), self.curves[twin.index], costs))
        return found

    def twin_of(self, digest: str) -> TrialRecord | None:
        """The trial with the same resolved recipe that was, or is to be, trained."""
        return next(
            (r for r in self.records.values() if r.digest == digest and r.twin is None), None
        )

    @property
    def num_trained(self) -> int:
        """Trials that count as ``trials``: trained, or to be trained."""
        # A copy: the live panel's thread asks, too, while the driver adds trials.
        return sum(record.was_trained for record in list(self.records.values()))

    @property
    def num_points(self) -> int:
        """Different points of the space that the search has suggested."""
        found = [r for r in self.records.values() if r.index > 0 and r.origin is None]
        return len({canonical(record.overrides) for record in found})

    @property
    def completed(self) -> list[TrialRecord]:
        """Trials with a finite objective after their whole schedule, the best first."""
        found = [
            record
            for record in self.records.values()
            if record.status == "completed" and math.isfinite(self.last_value(record))
        ]
        return sorted(found, key=lambda r: (-self._sign * self.last_value(r), r.index))

    def last_value(self, record: TrialRecord) -> float:
        """The objective after the last epoch of the longest schedule so far; NaN before any."""
        curve = self.curves[record.index]
        return curve[max(curve)] if curve else math.nan

    @property
    def has_candidate(self) -> bool:
        """Whether a trial other than the recipe has, or is in, its whole schedule."""
        return any(
            record.index > 0
            and (
                record.status == "completed"
                or (record.status in ("pending", "running") and record.rung is None)
            )
            for record in self.records.values()
        )

    @property
    def without_improvement(self) -> int:
        """Trials since one was better than all before it after as many epochs."""
        over = [r for r in self.records.values() if r.ended_at is not None and r.was_trained]
        over.sort(key=lambda record: record.ended_at or 0.0)
        best: dict[int, float] = {}
        since = 0
        for record in over:
            curve = self._comparable(record)
            last = max(curve, default=0)
            value = self._sign * curve[last] if curve else -math.inf
            since = 0 if value > best.get(last, -math.inf) else since + 1
            for epochs, other in curve.items():
                best[epochs] = max(best.get(epochs, -math.inf), self._sign * other)
        return since

    def _comparable(self, record: TrialRecord) -> dict[int, float]:
        """Epochs -> objective, without a longer schedule's way there if rungs are schedules."""
        curve = self.curves[record.index]
        early_stopping = self._sweep.spec.early_stopping
        if early_stopping is None or not early_stopping.stretches:
            return curve
        points = {rung["epochs"]: rung["value"] for rung in record.rungs}
        if record.status == "completed" and curve:
            points[max(curve)] = curve[max(curve)]
        return points
