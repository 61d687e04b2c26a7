import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
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
    assert len(list(looks(folder, sweep, lambda _: pytest.fail("waited")))) == 1


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


@pytest.fixture
def on_a_terminal(swept, tmp_path):
    """Start ``status --watch`` on a terminal of its own; what it prints comes by `read_until`, and
    once it has ended by `rest`.
    """
    _, folder = swept
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sweeps", "status", folder.name, "--watch"]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=theirs, stderr=theirs,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        started.append(process)
        return process

    def read_until(text: bytes) -> bytes:
        seen = b""
        while text not in seen:
            seen += os.read(ours, 65536)
        return seen

    def rest() -> bytes:
        os.set_blocking(ours, False)
        seen = b""
        with suppress(BlockingIOError):  # nothing is left
            while True:
                seen += os.read(ours, 65536)
        return seen

    yield folder, start, read_until, rest
    for process in started:
        process.kill()
        process.wait()
    os.close(ours)
    os.close(theirs)


@pytest.mark.slow
def test_on_a_terminal_the_last_table_stays_once_the_driver_is_gone(on_a_terminal):
    folder, start, read_until, rest = on_a_terminal
    with folder.locked():
        process = start()
        read_until(b"tracking: 27 of 27 points behind, of 3 trials")
    last = read_until(b"s is finished; cost so far")
    assert process.wait(60) == 0
    last += rest()  # that line stands in the panel, too
    assert b"\x1b[2K" in last  # the panel was wiped before the table was printed
    assert b"val_accuracy after the last epoch" in last.rpartition(b"\x1b[2K")[2]


@pytest.mark.slow
def test_ctrl_c_ends_the_watching_with_130_and_no_traceback(on_a_terminal):
    folder, start, read_until, _ = on_a_terminal
    with folder.locked():
        process = start()
        read_until(b"s is running")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
