import signal
import subprocess
import sys
import threading

import pytest

from sweeps.watchdog import HANGS_FILE, LOOKS, START_FACTOR, Watchdog, newest_hang

HOURS = 3600.0 * 24  # the thread's own first look comes after the test


@pytest.fixture
def watchdog():
    watchdog = Watchdog(HOURS)
    yield watchdog
    watchdog.close()


def looks_until_the_end(watchdog: Watchdog, most: int) -> int | None:
    return next((number for number in range(1, most + 1) if watchdog.look()), None)


def test_a_worker_has_hung_when_all_looks_after_a_batch_were_in_vain(watchdog, tmp_path):
    with watchdog.watching(tmp_path, rank=0):
        watchdog.batch()
        # The first look sees the batch.
        assert looks_until_the_end(watchdog, 1000) == 1 + LOOKS


def test_any_batch_begins_the_count_again(watchdog, tmp_path):
    with watchdog.watching(tmp_path, rank=0):
        for _ in range(100):
            watchdog.batch()
            assert looks_until_the_end(watchdog, LOOKS) is None
        assert watchdog.look() is True


def test_the_first_batch_of_a_trial_may_take_six_times_as_long(watchdog, tmp_path):
    for _ in range(2):  # of the next trial of the same worker, too
        with watchdog.watching(tmp_path, rank=0):
            assert looks_until_the_end(watchdog, 1000) == 1 + START_FACTOR * LOOKS
            watchdog.batch()


def test_between_trials_and_while_the_driver_decides_nothing_hangs(watchdog, tmp_path):
    assert looks_until_the_end(watchdog, 1000) is None
    with watchdog.watching(tmp_path, rank=0):
        watchdog.batch()
        with watchdog.paused():
            assert looks_until_the_end(watchdog, 1000) is None
        assert looks_until_the_end(watchdog, 1000) == 1 + LOOKS
    assert looks_until_the_end(watchdog, 1000) is None


def test_it_looks_by_itself_and_writes_down_what_every_thread_was_doing(tmp_path):
    ended, released = threading.Event(), threading.Event()

    def wait_for_what_never_comes():
        released.wait()

    watchdog = Watchdog(0.02, ended.set)
    stuck = threading.Thread(target=wait_for_what_never_comes)
    stuck.start()
    with watchdog.watching(tmp_path, rank=3):
        assert ended.wait(timeout=60)
    released.set()
    stuck.join()
    text = newest_hang(tmp_path)
    assert text is not None
    assert "in wait_for_what_never_comes" in text
    assert "HangDetected: no batch for 0.12 s; rank 3, process " in text.splitlines()[-1]


def test_a_hang_before_the_last_attempt_is_kept_but_not_its_reason(tmp_path, watchdog):
    (tmp_path / HANGS_FILE).write_text("HangDetected: no batch for 600 s\n")
    with watchdog.watching(tmp_path, rank=1):
        assert newest_hang(tmp_path) == "HangDetected: no batch for 600 s\n"
    with watchdog.watching(tmp_path, rank=0):
        assert newest_hang(tmp_path) is None
    with (tmp_path / HANGS_FILE).open("a") as file:
        file.write("HangDetected: no batch for 700 s\n")
    assert newest_hang(tmp_path) == "HangDetected: no batch for 700 s\n"
    assert "600 s" in (tmp_path / HANGS_FILE).read_text()


def test_a_folder_without_a_hang_has_none_and_gets_no_file(tmp_path, watchdog):
    with watchdog.watching(tmp_path, rank=0):
        watchdog.batch()
    assert newest_hang(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


HANGS = """
import multiprocessing, pathlib, sys, threading
from sweeps.watchdog import Watchdog

if __name__ == "__main__":
    child = multiprocessing.get_context("fork").Process(target=threading.Event().wait)
    child.start()
    print(child.pid, flush=True)
    with Watchdog(0.02).watching(pathlib.Path(sys.argv[1]), rank=0):
        threading.Event().wait()
"""


def test_a_process_that_hangs_dies_with_those_that_load_its_images(tmp_path):
    script = tmp_path / "hangs.py"
    script.write_text(HANGS)
    # The pipe is closed once the last process that holds it is gone, the child too.
    done = subprocess.run(
        [sys.executable, script, tmp_path], stdout=subprocess.PIPE, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert int(done.stdout) > 0
