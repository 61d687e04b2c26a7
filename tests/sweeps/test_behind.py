"""What MLflow has not accepted yet, against what a real one has."""

from dataclasses import replace

import pytest

from sweeps.record import TrialRecord
from sweeps.spool import Spool
from sweeps.tracking.behind import Behind, read_behind
from sweeps.tracking.mark import Mark
from sweeps.tracking.tracker import Tracker
from tests.sweeps.finished_sweep import finished_sweep, give_steps
from tests.sweeps.simulation import begin, quick_disk


@pytest.fixture
def add(tmp_path, monkeypatch):
    """A folder with a trial, and a way to train it further."""
    quick_disk(monkeypatch)
    folder = begin(tmp_path / "s")
    record = TrialRecord(3, "t0003", "a" * 64, {}, status="running")

    def add(*epochs: int, rung: int | None = None, **changes):
        changed = replace(record, **changes)
        folder.create_training(changed, rung, "")
        folder.write_record(changed)
        spool = Spool(folder.training_folder(changed, rung))
        for epoch in epochs:
            spool.append({"epoch": epoch})
        return folder, changed, spool

    return add


def test_of_a_trial_that_has_no_run_yet_every_point_is_behind(add):
    add(1, 2)
    folder, _, _ = add(1, 2, 3, rung=3)
    assert read_behind(folder) == Behind(points=5, points_behind=5, trials_behind=1)


def test_a_trial_that_waits_for_its_turn_is_not_behind(add):
    folder, _, _ = add(status="pending")
    assert read_behind(folder) == Behind(0, 0, 0)


def test_points_after_the_mark_are_behind_in_each_schedule_on_its_own(add):
    folder, record, whole = add(1, 2)
    _, _, rung = add(1, rung=3)
    offsets = {"whole": whole.read()[1], "ep0003": rung.read()[1]}
    Mark("run", "running", offsets, points=3).write(folder.trial_folder(record))
    assert str(read_behind(folder)) == "up to date"
    add(2, 3, rung=3)
    add(3)
    assert read_behind(folder) == Behind(points=6, points_behind=3, trials_behind=1)
    assert str(read_behind(folder)) == "3 of 6 points behind, of 1 trial"


def test_a_torn_line_is_no_point(add):
    folder, record, spool = add(1)
    with spool.path.open("a") as file:
        file.write("0badc0de {")
    assert read_behind(folder).points_behind == 1
    Mark("run", "running", {"whole": spool.read()[1]}, 1).write(folder.trial_folder(record))
    assert read_behind(folder).points_behind == 0


def test_a_trial_that_has_ended_is_behind_until_its_run_shows_it(add):
    folder, record, spool = add(1, status="completed")
    mark = Mark("run", "running", {"whole": spool.read()[1]}, 1)
    mark.write(folder.trial_folder(record))
    assert read_behind(folder) == Behind(points=1, points_behind=0, trials_behind=1)
    replace(mark, status="completed").write(folder.trial_folder(record))
    assert read_behind(folder) == Behind(points=1, points_behind=0, trials_behind=0)


@pytest.mark.slow
def test_once_a_real_mlflow_has_accepted_everything_nothing_is_behind(tmp_path, monkeypatch):
    quick_disk(monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    text = "search: {algorithm: random, trials: 3, seed: 5}\n"
    sweep, folder = finished_sweep(tmp_path, text=text)
    give_steps(folder)
    # 3 trials of 9 epochs each.
    assert read_behind(folder) == Behind(points=27, points_behind=27, trials_behind=3)
    tracker = Tracker(sweep, folder)
    tracker.start()
    assert tracker.finish()
    assert read_behind(folder) == Behind(points=27, points_behind=0, trials_behind=0)
