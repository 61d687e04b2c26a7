from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil
import pytest

from sweeps.answer.results import SweepResult, read_result
from sweeps.cluster import connected
from sweeps.record import TrialRecord
from sweeps.spec import Sweep
from sweeps.spool import Spool
from sweeps.storage import SweepFolder
from sweeps.tracking.mark import Mark
from sweeps.tracking.winner import description, registering
from tests.sweeps.simulation import LR, begin, quick_disk, write_sweep


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """A sweep of two trials of half an hour and a quarter each, the second one better."""
    quick_disk(monkeypatch)

    def swept(text: str = "") -> tuple[Sweep, SweepFolder]:
        sweep = write_sweep(tmp_path, f"search: {{trials: 2}}\n{text}")
        folder = begin(tmp_path / "a")
        for index, accuracy in enumerate([0.6, 0.7]):
            record = TrialRecord(
                index, f"t{index:04d}", f"{index:064x}", {LR: 2.0} if index else {},
                status="completed", worker_seconds=1800 - 900 * index,
            )  # fmt: skip
            write(folder, record, accuracy)
        return sweep, folder

    return swept


def write(folder: SweepFolder, record: TrialRecord, accuracy: float) -> None:
    folder.create_training(record, None, "")
    folder.write_record(record)
    point: dict[str, Any] = {"epoch": 1, "num_epochs": 1, "val_accuracy": accuracy}
    Spool(folder.trial_folder(record)).append({**point, "val_loss": 1 - accuracy})


def described(result: SweepResult) -> list[str]:
    assert result.winner is not None
    return description(result, result.winner, "abc").splitlines()


def test_without_a_confirmation_it_is_said_that_there_is_none(swept):
    sweep, folder = swept()
    assert described(read_result(folder, sweep)) == [
        "t0001, the winner of the sweep a",
        "not confirmed with fresh seeds, so without an interval: val_accuracy 0.7000 (recipe "
        "0.6000) on the validation split, one seed, which chose it",
        "cost: 0.75 CPU-hours for the sweep (0 of it to confirm), 0.25 for this training",
        "trial t0001, run abc",
    ]


def test_of_a_sweep_by_loss_the_accuracy_is_told_too(swept):
    sweep, folder = swept("objective: {metric: val_loss}\n")
    said = "val_loss 0.3000 (recipe 0.4000) on the validation split, one seed; val_accuracy 0.7000"
    assert said in described(read_result(folder, sweep))[1]


def test_after_a_confirmation_its_words_stand_first(swept):
    sweep, folder = swept()
    trials = folder.read_records()
    for trial in trials:
        for copy in (1, 2):
            record = replace(trial, copy=copy, overrides={**trial.overrides, "seed": copy})
            write(folder, record, 0.6 + 0.1 * trial.index + 0.001 * copy)
    result = read_result(folder, sweep)
    assert result.verdict is not None
    said = described(result)
    assert said[1 : 1 + len(result.verdict.lines)] == result.verdict.lines
    assert said[1].startswith("t0001 beats the recipe by 10.00 +- ")
    assert said[-3].startswith("this training itself: val_accuracy 0.7000 (recipe 0.6000)")
    assert "2.25 CPU-hours for the sweep (1.5 of it to confirm)" in said[-2]


def with_damaged_winner(
    swept: Callable[[], tuple[Sweep, SweepFolder]],
) -> tuple[Sweep, SweepFolder]:
    """A sweep whose winner has a run, and a checkpoint that is none."""
    sweep, folder = swept()
    trial_folder = folder.trial_folder(folder.read_records()[1])
    (trial_folder / "checkpoints/ep0001").mkdir(parents=True)
    (trial_folder / "checkpoints/ep0001/manifest.json").write_text("{}")
    Mark("abc", "completed").write(trial_folder)
    return sweep, folder


def test_a_server_that_is_away_is_one_line_and_no_error(swept, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    sweep, folder = with_damaged_winner(swept)
    uri = "http://127.0.0.1:1"  # nobody listens there
    with registering(sweep, folder, uri, ahead=False) as register:
        line = register()
    assert line is not None
    assert line.startswith(f"the winner is not registered at {uri} (")
    assert line.endswith("; run the sweep again to try again")
    assert "\n" not in line


@pytest.mark.ray
@pytest.mark.slow
def test_of_what_was_begun_ahead_nothing_is_left_and_its_failure_is_one_line(swept, tmp_path):
    sweep, folder = with_damaged_winner(swept)

    def registrars() -> list[psutil.Process]:
        children = psutil.Process().children()
        return [one for one in children if "sweeps.tracking.registration" in one.cmdline()]

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with connected():
        with registering(sweep, folder, uri, ahead=True):
            assert len(registrars()) == 1
            assert (folder.path / ".winner").is_dir()
        assert registrars() == []
        assert not (folder.path / ".winner").exists()
        assert not (tmp_path / "mlflow.db").exists()  # the store has not been asked

        with registering(sweep, folder, uri, ahead=True) as register:
            line = register()
        assert registrars() == []
    assert line is not None
    assert line.startswith(f"the winner is not registered at {uri} (")
    assert "manifest" in line
    assert "\n" not in line
    assert not (folder.path / ".winner").exists()


def test_a_sweep_without_a_winner_registers_nothing(swept):
    sweep, folder = swept()
    for record in folder.read_records():
        folder.write_record(replace(record, status="stopped_early"))
    with registering(sweep, folder, "http://nowhere.invalid", ahead=True) as register:
        assert register() is None
