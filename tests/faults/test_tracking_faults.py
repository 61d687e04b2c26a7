"""The tracking server away, slow, broken or silent, its database locked, its sender killed.

Training goes on meanwhile; afterwards every point is in the store once, at its step and time. What
was trained is compared with what MLflow's own client reads back.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from sweeps.storage import SweepFolder
from sweeps.tracking.behind import Behind, read_behind
from sweeps.tracking.connect import connect
from sweeps.tracking.tracker import Tracker
from tests.e2e.conftest import free_port, started
from tests.faults.proxy import Mode, Proxy
from tests.faults.table import Table
from tests.faults.trials import NUM_TRIALS, Training, assert_arrived, begin_sweep, in_store
from tests.sweeps.simulation import quick_disk

pytestmark = pytest.mark.faults
in_ci = pytest.mark.faults_in_ci

LOCKED_SECONDS = 6.0  # SQLite's own patience in Python is 5


@pytest.fixture(scope="module")
def server_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real MLflow server over a database of its own."""
    home, port = tmp_path_factory.mktemp("server"), free_port()
    command = f"server --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port {port}"
    command += " --artifacts-destination artifacts --workers 1"
    with started(command, dict(os.environ), home):
        yield port


@pytest.fixture
def proxy(server_port: int, moments: random.Random) -> Iterator[Proxy]:
    proxy = Proxy(server_port, moments)
    yield proxy
    proxy.close()


@pytest.fixture(autouse=True)
def this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("MLFLOW_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    quick_disk(monkeypatch)


WORDS: dict[Mode, str] = {
    "away": "away", "slow": "slow", "500": "answers 500", "cut": "cuts connections",
    "hangs": "hangs",
}  # fmt: skip


@pytest.mark.parametrize("outage_seconds", [pytest.param(3, marks=in_ci), 60])
def test_training_goes_on_through_every_outage_and_every_point_arrives_once(
    tmp_path, faults: Table, moments: random.Random, server_port, outage_seconds
):
    """Each kind has a sweep and a tracker of its own, and all have them at the same time."""
    with ThreadPoolExecutor(len(WORDS)) as pool:
        outages = [
            pool.submit(
                _outage, tmp_path / mode, faults, random.Random(moments.random()), server_port,
                mode, outage_seconds,
            )
            for mode in WORDS
        ]  # fmt: skip
    for outage in outages:
        outage.result()


def _outage(
    root: Path, faults: Table, moments: random.Random, server_port: int, mode: Mode, seconds: float
) -> None:
    root.mkdir()
    proxy = Proxy(server_port, moments)
    sweep, folder = begin_sweep(root, proxy.address)
    with closing(proxy), faults.trial(f"tracking server {WORDS[mode]} for {seconds} s") as outcome:
        tracker = Tracker(sweep, folder)
        tracker.start()
        before, during, after = (moments.randint(0, 4), moments.randint(5, 40), 2)
        epochs = iter(range(1, 1 + before + during + after))
        Training(folder, _next(epochs, before), moments).finish()
        time.sleep(moments.uniform(0, 2))  # somewhere in what the tracker sends
        began = time.monotonic()
        with proxy.fault(mode):
            Training(folder, _next(epochs, during), moments).finish()
            proxy.wait_for_a_request()
            if mode not in ("slow", "cut"):
                assert read_behind(folder).points_behind >= NUM_TRIALS * during
            time.sleep(max(0.0, began + seconds - time.monotonic()))
        healed = time.monotonic()
        Training(folder, _next(epochs, after), moments, ends=True).finish()
        assert tracker.finish()
        outcome.seconds = time.monotonic() - healed
        assert str(read_behind(folder)) == "up to date"
        assert_arrived(folder, f"http://127.0.0.1:{server_port}", outcome)


def _next(epochs: Iterator[int], count: int) -> range:
    drawn = [next(epochs) for _ in range(count)]
    return range(drawn[0], drawn[-1] + 1) if drawn else range(0)


@in_ci
def test_a_run_whose_creation_was_never_answered_is_found_and_not_created_again(
    tmp_path, monkeypatch, faults: Table, moments: random.Random, server_port, proxy: Proxy
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a user's, of MLflow's own kind
    sweep, folder = begin_sweep(tmp_path, proxy.address)
    with faults.trial("tracking server creates a run, its answer is lost") as outcome:
        tracker = Tracker(sweep, folder)
        with proxy.fault("lost"):
            tracker.start()
            Training(folder, range(1, 4), moments).finish()
            while read_behind(folder).points_behind:
                assert tracker._thread.is_alive()
                time.sleep(0.05)
            proxy.wait_for_a_request()
        Training(folder, range(4, 6), moments, ends=True).finish()
        assert tracker.finish()
        assert_arrived(folder, f"http://127.0.0.1:{server_port}", outcome)


@in_ci
def test_a_server_that_hangs_holds_the_drivers_end_up_no_longer_than_it_says(
    tmp_path, monkeypatch, faults: Table, moments: random.Random, proxy: Proxy
):
    # Only the driver's own limit can end the wait.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3600")
    sweep, folder = begin_sweep(tmp_path, proxy.address)
    tracker = Tracker(sweep, folder)
    tracker.start()
    Training(folder, range(1, 5), moments).finish()
    while read_behind(folder).points_behind:
        assert tracker._thread.is_alive()
        time.sleep(0.05)
    with faults.trial("tracking server hangs at the driver's end") as outcome:
        with proxy.fault("hangs"):
            Training(folder, range(5, 8), moments, ends=True).finish()
            assert tracker.finish(timeout_seconds=2.0) is False
            assert proxy.mode == "hangs"
            assert read_behind(folder) == Behind(7 * NUM_TRIALS, 3 * NUM_TRIALS, NUM_TRIALS)
        next_driver = Tracker(sweep, folder)
        next_driver.start()
        assert next_driver.finish()
        assert_arrived(folder, proxy.address, outcome)


# ---- a database instead of a server --------------------------------------------------------------


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: MLflow takes seconds for it."""
    database = tmp_path_factory.mktemp("database") / "mlflow.db"
    connect(f"sqlite:///{database}").search_experiments()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it is in the one file
    return database


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path))


@in_ci
def test_a_database_locked_by_another_writer_loses_and_doubles_nothing(
    tmp_path, faults: Table, moments: random.Random, database: Path
):
    uri = f"sqlite:///{database}"
    sweep, folder = begin_sweep(tmp_path, uri)
    before, during = moments.randint(1, 4), moments.randint(5, 40)
    with faults.trial(f"sqlite locked for {LOCKED_SECONDS:.0f} s") as outcome:
        tracker = Tracker(sweep, folder)
        tracker.start()
        Training(folder, range(1, 1 + before), moments).finish()
        while read_behind(folder).points_behind:
            assert tracker._thread.is_alive()
            time.sleep(0.05)
        with _locked(database):
            Training(folder, range(1 + before, 1 + before + during), moments, ends=True).finish()
            time.sleep(LOCKED_SECONDS)
            assert read_behind(folder).points_behind >= NUM_TRIALS * during
        healed = time.monotonic()
        assert tracker.finish()
        outcome.seconds = time.monotonic() - healed
        assert_arrived(folder, uri, outcome)


class _locked:  # noqa: N801  used as a context manager
    """Another process's transaction, begun at once and kept open."""

    def __init__(self, database: Path) -> None:
        self._connection = sqlite3.connect(database, timeout=30, isolation_level=None)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN EXCLUSIVE")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


def _sent(folder: SweepFolder) -> int:
    behind = read_behind(folder)
    return behind.points - behind.points_behind


# ---- the sender killed ---------------------------------------------------------------------------

DRIVER = """\
import sys
from pathlib import Path
from sweeps.loading import load_sweep
from sweeps.storage import SweepFolder
from sweeps.tracking import tracker

tracker.SHIP_SECONDS = 0.01
folder = SweepFolder(Path(sys.argv[1]))
mirror = tracker.Tracker(load_sweep(folder.sweep_file), folder)
mirror.start()
print("started", flush=True)
mirror._thread.join()
"""


def test_a_driver_killed_while_it_sends_leaves_the_rest_to_the_next_one(
    tmp_path, faults: Table, moments: random.Random, database: Path
):
    uri = f"sqlite:///{database}"
    sweep, folder = begin_sweep(tmp_path, uri)
    with faults.trial("driver killed with points not yet sent") as outcome:
        epoch = 0
        for _ in range(2):
            driver = subprocess.Popen(
                [sys.executable, "-c", DRIVER, str(folder.path)], stdout=subprocess.PIPE, text=True
            )
            assert driver.stdout is not None
            assert driver.stdout.readline() == "started\n"
            had, sent = _sent(folder), 0
            # Sent while they are written, so the kill falls between any two steps of either.
            while sent <= had or moments.random() > 0.3:
                epoch += 1
                Training(folder, range(epoch, epoch + 1), moments).finish()
                time.sleep(moments.uniform(0, 0.1))  # of training
                sent = _sent(folder)
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            driver.stdout.close()
        Training(folder, range(epoch + 1, epoch + 3), moments, ends=True).finish()
        restarted = time.monotonic()
        tracker = Tracker(sweep, folder)
        tracker.start()
        assert tracker.finish()
        outcome.seconds = time.monotonic() - restarted
        assert_arrived(folder, uri, outcome)
        assert len(in_store(folder, uri)) == NUM_TRIALS
