"""Trials that are trained by a thread: spools and records as workers and driver write them."""

import random
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from sweeps.record import SweepState, TrialRecord
from sweeps.spec import Sweep
from sweeps.spool import Spool
from sweeps.storage import SweepFolder
from sweeps.tracking.points import METRICS
from tests.faults.table import Outcome
from tests.sweeps.simulation import RANDOM, write_sweep

NUM_TRIALS = 3
STEPS_PER_EPOCH = 11
Points = dict[str, dict[str, list[tuple[int, float, int]]]]
"""Trial -> metric -> (step, value, Unix milliseconds) in the order of the steps."""


def begin_sweep(root: Path, uri: str) -> tuple[Sweep, SweepFolder]:
    """A sweep with its trials, of which none has begun."""
    sweep_id = uuid.uuid4().hex  # the tests share a server
    tracking = f"tracking: {{uri: '{uri}', experiment: '{sweep_id}'}}\n"
    sweep = write_sweep(root, f"{RANDOM}{tracking}storage: {{keep_best: null}}\n")
    folder = SweepFolder(root / "results" / "s")
    folder.trials_path.mkdir(parents=True)
    folder.write_state(SweepState(id=sweep_id, started_at=time.time()))
    folder.sweep_file.write_text(sweep.resolved_yaml())
    (folder.path / "sweep.yaml").write_text(sweep.text)
    (folder.path / "environment.json").write_text("{}")
    for index in range(NUM_TRIALS):
        record = TrialRecord(index, f"t{index:04d}", str(index) * 64, {}, suggested_at=time.time())
        folder.create_training(record, None, sweep.recipe.to_yaml())
        folder.write_record(record)
    return sweep, folder


def point(epoch: int, moments: random.Random) -> dict[str, Any]:
    numbers = {name: moments.random() for name in METRICS if name != "epoch"}
    return {**numbers, "epoch": epoch, "step": STEPS_PER_EPOCH * epoch}


class Training(threading.Thread):
    """Trains all trials at once, so many epochs of each; ``resume`` goes on after the epoch.

    It must come to its end whatever the tracking server does: nothing here waits for it.
    """

    def __init__(
        self, folder: SweepFolder, epochs: range, moments: random.Random, *, ends: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self._folder, self._epochs, self._moments, self._ends = folder, epochs, moments, ends
        self.start()

    def run(self) -> None:
        for epoch in self._epochs:
            for record in self._folder.read_records():
                self._folder.write_record(replace(record, status="running"))
                spool = Spool(self._folder.trial_folder(record))
                spool.append(point(epoch, self._moments))
                if epoch > 1:
                    spool.append(point(epoch - 1, self._moments))  # as a resumed trial repeats it
        if self._ends:
            for record in self._folder.read_records():
                ended = replace(record, status="completed", ended_at=time.time())
                self._folder.write_record(ended)

    def finish(self) -> None:
        self.join(60)
        assert not self.is_alive(), "training waits for tracking"


def in_spools(folder: SweepFolder) -> Points:
    """What was trained."""
    found: Points = {}
    for record in folder.read_records():
        found[record.id] = {name: [] for name in METRICS}
        for one in folder.history(record):
            for name in METRICS:
                value = (one["step"], one[name], round(one["time"] * 1000))
                found[record.id][name].append(value)
    return found


def in_store(folder: SweepFolder, uri: str) -> Points:
    """What the tracking store has, read by MLflow's own client; a doubled point is there twice."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(folder.read_state().id)
    assert experiment is not None
    sweep_runs = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'sweep'")
    assert len(sweep_runs) == 1, "the sweep's run is doubled"
    found: Points = {}
    for run in client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'trial'"):
        trial = run.data.tags["sweep.trial"]
        assert trial not in found, "a run is doubled"
        found[trial] = {}
        for name in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, name)
            points = [(one.step, one.value, one.timestamp) for one in history]
            found[trial][name] = sorted(points)
    return found


def assert_arrived(folder: SweepFolder, uri: str, outcome: Outcome) -> None:
    """Every point once, at its step, with its value and its time."""
    found, expected = in_store(folder, uri), in_spools(folder)
    wanted = {
        (trial, name, *one)
        for trial, metrics in expected.items()
        for name, points in metrics.items()
        for one in points
    }
    arrived = [
        (trial, name, *one)
        for trial, metrics in found.items()
        for name, points in metrics.items()
        for one in points
    ]
    outcome.points_lost = len(wanted - set(arrived)) + len(arrived) - len(set(arrived))
    assert found == expected
