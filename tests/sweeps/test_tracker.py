"""What the tracker's thread does with points that were sent, and with a store that is none."""

import shutil
import threading
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from sweeps.spool import Spool
from sweeps.tracking import tracker as module
from sweeps.tracking.points import fresh
from sweeps.tracking.tracker import Tracker
from tests.sweeps.finished_sweep import finished_sweep, give_steps
from tests.sweeps.simulation import RANDOM, quick_disk


def metric(key: str, step: int) -> Metric:
    return Metric(key, 0.5, 1000, step)


def test_of_each_metric_only_what_goes_beyond_its_highest_step_is_sent():
    metrics = [metric("a", 10), metric("b", 10), metric("a", 20), metric("a", 20), metric("c", 0)]
    found, highest = fresh(metrics, {"a": 10, "d": 90})
    assert [(one.key, one.step) for one in found] == [("b", 10), ("a", 20), ("c", 0)]
    assert highest == {"a": 20, "b": 10, "c": 0, "d": 90}


def test_of_workers_that_write_the_same_epochs_at_once_one_is_heard(tmp_path):
    barrier = threading.Barrier(4)

    def write() -> None:
        for epoch in range(1, 26):
            barrier.wait()
            Spool(tmp_path).append({"epoch": epoch})

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [point["epoch"] for point in Spool(tmp_path).read()[0]] == list(range(1, 26))


def test_a_store_that_is_none_is_asked_once_a_pass_and_ends_with_the_driver(tmp_path, monkeypatch):
    quick_disk(monkeypatch)
    sweep, folder = finished_sweep(
        tmp_path, text=f"{RANDOM}tracking: {{uri: 'nonsense://here', experiment: one}}\n"
    )
    asked: list[str] = []
    connect = module.connect

    def counted(uri: str) -> object:
        asked.append(uri)
        return connect(uri)

    monkeypatch.setattr(module, "connect", counted)
    monkeypatch.setattr(module, "SHIP_SECONDS", 3600.0)
    tracker = Tracker(sweep, folder)
    tracker.start()
    while not tracker._complaints:
        assert tracker._thread.is_alive()
    assert tracker.finish() is False
    assert len(asked) == 2  # by the first pass and by the last


def test_what_nobody_has_thought_of_is_told_by_finish_and_not_by_a_dead_thread(
    tmp_path, monkeypatch
):
    quick_disk(monkeypatch)
    sweep, folder = finished_sweep(tmp_path, text=RANDOM)

    def broken(_: str) -> object:
        raise KeyError("nobody has thought of it")

    monkeypatch.setattr(module, "connect", broken)
    tracker = Tracker(sweep, folder)
    tracker.start()
    while not tracker._complaints:
        assert tracker._thread.is_alive()
    with pytest.raises(KeyError, match="nobody has thought of it"):
        tracker.finish()


@pytest.mark.slow
def test_a_trial_interrupted_before_its_first_point_was_sent_is_sent_and_closed_at_the_end(
    tmp_path, monkeypatch
):
    quick_disk(monkeypatch)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    text = f"search: {{algorithm: random, trials: 3, seed: 5}}\ntracking: {{uri: '{uri}'}}\n"
    sweep, folder = finished_sweep(tmp_path, text=text)
    give_steps(folder)
    first, second, third = folder.read_records()
    folder.write_record(replace(second, status="pending"))
    shutil.rmtree(folder.trial_folder(third))
    folder.create_training(waiting := replace(third, status="pending"), None, "")
    folder.write_record(waiting)  # it has not begun
    folder.write_state(replace(folder.read_state(), status="interrupted"))
    tracker = Tracker(sweep, folder)
    tracker.start()
    assert tracker.finish() is True
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(sweep.spec.experiment_name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.sweep.role != 'sweep'")
    assert {run.data.tags["sweep.trial"]: run.info.status for run in runs} == {
        first.id: "FINISHED", second.id: "KILLED",
    }  # fmt: skip
    (interrupted,) = (run for run in runs if run.data.tags["sweep.trial"] == second.id)
    sent = client.get_metric_history(interrupted.info.run_id, "epoch")
    assert {point.value for point in sent} == {point["epoch"] for point in folder.history(second)}
