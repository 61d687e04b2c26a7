"""A driver without Ray: trainings that end at once, written down as `sweeps.recorder` does it."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.agenda import Agenda
from sweeps.assignment import Assignment
from sweeps.cancel import put_back_to_pending
from sweeps.early_stopping import AshaConfig, HyperbandConfig
from sweeps.failures import Consequence, consequence
from sweeps.loading import load_sweep
from sweeps.memory import Memory
from sweeps.record import SweepState, TrialRecord
from sweeps.rules import (
    HyperbandPromotion,
    PromotionRule,
    StoppingRule,
    SuccessiveHalving,
    SuccessivePromotion,
)
from sweeps.spec import Sweep
from sweeps.spool import Spool
from sweeps.storage import SweepFolder
from sweeps.sweep_checks import whole_epochs

LR = "optimizer.decoupled_sgdw.learning_rate"
RECIPE = """\
model: {name: resnet_20, num_classes: 10, initial_stem: cifar}
optimizer:
  decoupled_sgdw: {learning_rate: 2.0, momentum: 0.9, weight_decay: 5e-4}
lr_schedulers: {linear_warmup: 1ep, cosine_decay: {T_max: 8ep}}
train_batch_size: 128
max_duration: 9ep
data: {digits: {}}
"""
SPACE = f"space:\n  {LR}: {{loguniform: [0.2, 8]}}\n"
STRETCH = "early_stopping: {fidelity: stretch, asha: {grace_period: 1ep, reduction_factor: 3}}\n"
"""Of 9 epochs: rungs of 1 and of 3."""
RANDOM = "search: {algorithm: random, trials: 12, seed: 5}\n"
TRUNCATE = STRETCH.replace("stretch,", "truncate,")


def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs are written without waiting for the disk: nobody pulls the plug here."""
    monkeypatch.setattr("sweeps.spool.os.fsync", lambda _: None)


Value = Callable[[TrialRecord, int, int], float]
"""Gets a trial, the epochs of the schedule it trains and those trained; tells the objective."""
Failure = Callable[[Assignment], dict[str, Any] | None]


def write_sweep(
    folder: Path, text: str, *, space: str = SPACE, recipe: str = RECIPE, stopping: str = "null"
) -> Sweep:
    """A sweep called s; nothing stops early unless its text says so."""
    (folder / "recipe.yaml").write_text(recipe)
    rule = "" if "early_stopping" in text or not stopping else f"early_stopping: {stopping}\n"
    file = folder / "s.yaml"
    file.write_text(f"version: 1\nname: s\nextends: recipe.yaml\n{rule}{text}{space}")
    return load_sweep(file)


def begin(path: Path) -> SweepFolder:
    """The folder of a sweep that was begun, or is begun now."""
    folder = SweepFolder(path)
    if not folder.exists:
        folder.trials_path.mkdir(parents=True)
        folder.write_state(SweepState(id="1"))
    return folder


def near_one(record: TrialRecord, num_epochs: int, epoch: int) -> float:
    """Higher the nearer the rate is to 1, and after a longer schedule; below 1."""
    distance = abs(math.log(record.overrides.get(LR, 2.0)))
    return 1 / (1 + distance) * (1 - 0.5 / num_epochs) * (epoch / num_epochs) ** 0.25


def promotions_of(sweep: Sweep) -> PromotionRule | None:
    config, options = sweep.spec.early_stopping, {}
    if config is None or not config.stretches:
        return None
    rule, whole = config.rule, whole_epochs(sweep.recipe)
    assert isinstance(rule, AshaConfig | HyperbandConfig)
    options = {
        "grace_epochs": rule.grace_epochs(whole),
        "reduction_factor": rule.reduction_factor,
        "maximize": sweep.spec.objective.mode == "max",
    }
    if isinstance(rule, AshaConfig):
        return SuccessivePromotion(max_rungs=rule.max_rungs, **options)
    return HyperbandPromotion(num_epochs=whole, **options)


class Driver:
    """One driver of a sweep; another one over the same folder goes on where it was left.

    Args:
        sweep: The sweep.
        folder: Its folder.
        value: What a training measures.
        failure: What makes a training fail; None where it does not.
        seconds: Worker-seconds of an epoch.
        slots: Trainings at a time.
        wall_seconds: As the agenda wants it.
    """

    def __init__(
        self,
        sweep: Sweep,
        folder: SweepFolder,
        value: Value = near_one,
        *,
        failure: Failure = lambda _: None,
        seconds: float = 1.0,
        slots: int = 1,
        wall_seconds: Callable[[], float] = lambda: 0.0,
    ) -> None:
        put_back_to_pending(folder)
        self.sweep, self.folder = sweep, folder
        self.value, self.failure, self._seconds = value, failure, seconds
        self.memory = Memory(sweep, folder)
        self.stopping = self._stopping()
        self.agenda = Agenda(
            sweep,
            folder,
            self.memory,
            promotions=promotions_of(sweep),
            slots=slots,
            wall_seconds=wall_seconds,
        )

    def _stopping(self) -> StoppingRule | None:
        config = self.sweep.spec.early_stopping
        if config is None or config.stretches:
            return None
        rule = config.rule
        assert isinstance(rule, AshaConfig)
        halving = SuccessiveHalving(
            grace_epochs=rule.grace_epochs(whole_epochs(self.sweep.recipe)),
            reduction_factor=rule.reduction_factor,
            maximize=self.sweep.spec.objective.mode == "max",
            max_rungs=rule.max_rungs,
        )
        for index in sorted(self.memory.curves):
            for epoch, value in sorted(self.memory.curves[index].items()):
                halving.observe(index, epoch, value)
        return halving

    def run(self, steps: int = 10_000) -> list[str]:
        """Train one assignment after another; returns their keys."""
        keys = []
        for _ in range(steps):
            found = self.agenda.next()
            if found is None:
                break
            assert found != "wait", "nothing runs that could bring another one"
            keys.append(found.key)
            self.train(found)
        return keys

    def start(self) -> Assignment:
        """The next assignment, which has to be there."""
        found = self.agenda.next()
        assert isinstance(found, Assignment)
        return found

    def train(self, assignment: Assignment, *, killed_after: int | None = None) -> None:
        """Train an assignment to its end, or to a driver's that is killed after so many epochs."""
        record = self._write(self.memory.current(assignment.record), status="running")
        if (failure := self.failure(assignment)) is not None:
            self._fail(assignment, failure)
            return
        metric, ledger = self.sweep.spec.objective.metric, self.memory.ledger
        recipe = self.sweep.recipe_for(record.overrides)
        num_epochs = assignment.rung or whole_epochs(recipe)
        spool = Spool(assignment.folder)
        trained, value, finished = len(spool.read()[0]), math.nan, False
        for epoch in range(trained + 1, num_epochs + 1):
            if killed_after is not None and epoch > killed_after:
                return
            value, finished = self.value(record, num_epochs, epoch), epoch == num_epochs
            spool.append(
                {
                    "epoch": epoch,
                    "num_epochs": num_epochs,
                    "finished": finished,
                    "elapsed_seconds": epoch * self._seconds,
                    metric: value,
                }
            )
            ledger.worker_seconds += self._seconds
            ledger.epochs += 1
            ledger.running[assignment.key] = num_epochs - epoch
            record = self._write(record, worker_seconds=record.worker_seconds + self._seconds)
            if assignment.rung is None and not record.copy:
                self.memory.curves[record.index][epoch] = value
            if self._stops(record, epoch, value) and not finished:
                self._write(record, status="stopped_early")
                self.agenda.ended(assignment, None)
                return
        if assignment.rung is not None:
            rungs = [*record.rungs, {"epochs": assignment.rung, "value": value}]
            self.memory.curves[record.index][assignment.rung] = value
            self._write(record, status="paused", rungs=rungs)
            self.agenda.ended(assignment, value)
        else:
            costs = {**record.costs, "training_seconds": self._seconds * num_epochs}
            self._write(record, status="completed", costs=costs)
            self.agenda.ended(assignment, None)

    def _stops(self, record: TrialRecord, epoch: int, value: float) -> bool:
        if self.stopping is None or record.copy:
            return False
        return not self.stopping.observe(record.index, epoch, value)

    def _fail(self, assignment: Assignment, failure: dict[str, Any]) -> Consequence:
        record = self.memory.current(assignment.record)
        follows = consequence(record, self.sweep.recipe_for(record.overrides), failure)
        seconds = record.worker_seconds + self._seconds
        self.memory.ledger.worker_seconds += self._seconds
        record = self._write(record, worker_seconds=seconds, **follows.changes)
        self.agenda.ended(assignment, None)
        if follows.again:
            self.agenda.requeue(record)
        return follows

    def _write(self, record: TrialRecord, **changes: Any) -> TrialRecord:
        return self.memory.write(record, **changes)

    @property
    def statuses(self) -> dict[str, str]:
        """Of every trial."""
        return {record.id: record.status for record in self.folder.read_records()}

    @property
    def overrides(self) -> list[dict[str, Any]]:
        """Of every trial."""
        return [record.overrides for record in self.folder.read_records()]
