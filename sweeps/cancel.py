"""Asking a running sweep to end, from elsewhere: by a file in its folder that its driver sees."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from sweeps import driver_lock
from sweeps.interrupts import Interrupts
from sweeps.mirror import changed_ns, fetch, publish, remove, try_to_remove
from sweeps.storage import SweepFolder

LOOK_SECONDS = 1.0
_FILE_NAME = "cancel"


def request(folder: SweepFolder) -> None:
    """Ask the driver of this sweep, wherever it runs, to end it."""
    file = folder.path / _FILE_NAME
    file.touch()
    publish(file)


def forget(folder: SweepFolder) -> None:
    """Take back what was asked."""
    remove(folder.path / _FILE_NAME)


def forget_earlier(folder: SweepFolder) -> None:
    """Take back what an earlier driver was asked, as the one that holds the sweep's lock."""
    asked, held = (
        changed_ns(folder.path / name) for name in (_FILE_NAME, driver_lock.NAME)
    )  # fmt: skip
    # Clocks of file systems tick every few milliseconds, those of object stores every second.
    if asked is not None and (held is None or asked < held):
        forget(folder)


@contextmanager
def watching(folder: SweepFolder, interrupts: Interrupts) -> Iterator[None]:
    """Interrupt the sweep once somebody asks for it while the block runs."""
    file = folder.path / _FILE_NAME
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            with suppress(OSError):  # an object store out of reach: asked again
                fetch(file)
            if file.exists():
                interrupts.cancel()
                return

    watcher = threading.Thread(target=look, name="cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        try_to_remove(file)


def put_back_to_pending(folder: SweepFolder) -> None:
    """What was running when its driver ended waits to be gone on with."""
    for record in [*folder.read_records(), *folder.read_confirmations()]:
        if record.status == "running":
            folder.write_record(replace(record, status="pending"))
