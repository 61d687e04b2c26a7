import json
import subprocess
import sys
from dataclasses import replace

import pytest

from sweeps.watch import changes, looks
from tests.sweeps.finished_sweep import finished_sweep
from tests.sweeps.simulation import quick_disk

TRIALS = "search: {algorithm: random, trials: 3, seed: 5}\n"


@pytest.fixture
def swept(tmp_path, monkeypatch):
    quick_disk(monkeypatch)
    return finished_sweep(tmp_path, text=TRIALS)


def test_a_sweep_is_looked_at_until_its_driver_is_gone_and_only_changes_are_told(swept):
    sweep, folder = swept
    record = folder.read_records()[2]
    lock = folder.locked()
    lock.__enter__()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            folder.write_record(replace(record, status="failed"))
        if len(pauses) == 4:
            lock.__exit__(None, None, None)

    told = list(changes(looks(folder, sweep, pause)))
    assert pauses == [2.0] * 4
    assert [(one.phase, one.result.count("failed")) for one in told] == [
        ("running", 0), ("running", 1), ("finished", 1),
    ]  # fmt: skip


def test_a_sweep_without_a_driver_is_looked_at_once(swept):
    sweep, folder = swept
    assert len(list(looks(folder, sweep, pytest.fail))) == 1


@pytest.mark.slow
def test_without_a_terminal_status_watch_prints_a_line_a_change_and_ends_with_the_driver(
    swept, tmp_path
):
    _, folder = swept
    command = [sys.executable, "-m", "sweeps", "status", folder.name, "--watch", "-o", "json"]
    with folder.locked():
        process = subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE)
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        folder.write_record(replace(folder.read_records()[2], status="failed"))
        second = json.loads(process.stdout.readline())
    rest, _ = process.communicate(timeout=60)
    last = json.loads(rest)  # one line
    assert process.returncode == 0
    assert [one["running"] for one in (first, second, last)] == [True, True, False]
    assert [one["trials"][2]["status"] for one in (first, second)] == ["completed", "failed"]
