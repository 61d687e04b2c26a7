"""Asking a driver to end, by a file that it and only it must see."""

import threading
from pathlib import Path

from sweeps import cancel, driver_lock
from sweeps.interrupts import Interrupts
from sweeps.storage import SweepFolder


def test_what_an_earlier_driver_was_asked_is_forgotten(tmp_path: Path):
    folder = SweepFolder(tmp_path / "digits")
    folder.path.mkdir()
    (folder.path / driver_lock.NAME).touch()  # of a driver that was killed
    cancel.request(folder)
    with folder.locked():
        cancel.forget_earlier(folder)
        assert not (folder.path / "cancel").exists()


def test_what_is_asked_while_a_driver_starts_is_seen_by_it(tmp_path: Path):
    folder = SweepFolder(tmp_path / "digits")
    interrupts = Interrupts()
    seen = threading.Event()
    interrupts.cancel = seen.set
    with folder.locked():
        cancel.request(folder)
        cancel.forget_earlier(folder)
        with cancel.watching(folder, interrupts):
            assert seen.wait(20)
    assert not (folder.path / "cancel").exists()
