"""Ending a worker whose training makes no progress: a deadlock, a dead network disk, a lost peer.

Nothing else would: a process that waits for ever is alive to Ray, and holds its slot for ever. A
worker that ends itself is one that was killed, so the trial goes on from its checkpoint, and is
given up once that has happened too often. When, and what every thread was doing, stands in
``hangs.txt`` in the trial's folder.
"""

import faulthandler
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sweeps.mirror import publish

START_FACTOR = 6
"""A trial's first batch may take so many times as long: data are read, kernels compiled."""

HANGS_FILE = "hangs.txt"
LOOKS = 20
"""Within the limit, so that a hang is noticed a twentieth of it late at most."""
PUBLISH_SECONDS = 10.0
_AGAIN = "training began again\n"


class Watchdog:
    """Looks from a thread of its own whether batches go by while a trial is trained.

    It counts its looks instead of comparing times: a process that was stopped (Ctrl-Z, a suspended
    machine) has not hung.

    Args:
        limit_seconds: From one batch to the next, with what lies between them, as writing a
            checkpoint does. None watches nothing.
        end: Ends this process.
    """

    def __init__(
        self, limit_seconds: float | None, end: Callable[[], object] | None = None
    ) -> None:
        self._end = end or _kill_this_process
        self._num_signs = self._signs_seen = 0  # of life
        self._looks_in_vain = 0
        self._factor = START_FACTOR
        self._folder: Path | None = None  # while a trial is trained
        self._rank = 0
        self._is_paused = False
        self._closed = threading.Event()
        if limit_seconds is not None:
            threading.Thread(
                target=self._watch, args=[limit_seconds], name="watchdog", daemon=True
            ).start()

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()

    def batch(self) -> None:
        """Note that a batch has gone by; two stores, so it costs no step anything."""
        self._num_signs += 1
        self._factor = 1

    @contextmanager
    def watching(self, folder: Path, rank: int) -> Iterator[None]:
        """Watch the training of a trial in its folder, by the worker of this rank."""
        if rank == 0 and (folder / HANGS_FILE).exists():
            with (folder / HANGS_FILE).open("a") as file:
                file.write(_AGAIN)
        self._rank, self._factor, self._is_paused = rank, START_FACTOR, False
        self._num_signs += 1
        self._folder = folder
        try:
            yield
        finally:
            self._folder = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Somebody else is waited for, however long that takes: the driver's verdict."""
        self._is_paused = True
        try:
            yield
        finally:
            self._num_signs += 1
            self._is_paused = False

    def look(self) -> bool:
        """Look once; whether that was the last of the looks that found no sign of life."""
        if self._folder is None or self._is_paused or self._num_signs != self._signs_seen:
            self._signs_seen, self._looks_in_vain = self._num_signs, 0
            return False
        self._looks_in_vain += 1
        return self._looks_in_vain >= LOOKS * self._factor

    def _watch(self, limit_seconds: float) -> None:
        while not self._closed.wait(limit_seconds / LOOKS):
            folder, factor = self._folder, self._factor
            if self.look() and folder is not None:
                self._write(folder, limit_seconds * factor)
                self._end()
                return

    def _write(self, folder: Path, seconds: float) -> None:
        where = f"rank {self._rank}, process {os.getpid()} on {socket.gethostname()}"
        try:
            with (folder / HANGS_FILE).open("a") as file:
                file.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {where}\n")
                file.flush()
                faulthandler.dump_traceback(file, all_threads=True)
                file.write(f"HangDetected: no batch for {seconds:g} s; {where}\n")
            # The store may be what hangs, with the lock of the copy.
            sent = threading.Thread(target=publish, args=(folder / HANGS_FILE,), daemon=True)
            sent.start()
            sent.join(PUBLISH_SECONDS)
        except OSError as error:  # the disk may be what hangs or is full; the process ends anyway
            print(f"{folder / HANGS_FILE}: {error}")


def newest_hang(folder: Path) -> str | None:
    """What the workers wrote, if the last attempt to train in this folder hung."""
    try:
        text = (folder / HANGS_FILE).read_text()
    except FileNotFoundError:
        return None
    return None if text.endswith(_AGAIN) else text.split(_AGAIN)[-1]


def _kill_this_process() -> None:
    """At once, with the processes that load its images: they may hang themselves."""
    for child in multiprocessing.active_children():
        child.kill()
    os.kill(os.getpid(), signal.SIGKILL)
