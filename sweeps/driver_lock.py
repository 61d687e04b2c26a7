"""The lock of a sweep, held by the one driver that runs it, on whichever machine it does.

A file opened for writing, since a network file system turns the lock into one of its server's,
which nobody gets who may only read (flock(2), "NFS details"). Its holder removes it at the end, so
whoever gets the lock looks whether the file is still the one that everybody else would open.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "driver.lock"
# Whoever asks `is_held` holds the lock for a moment; a driver that comes just then waits.
TRIES, TRY_SECONDS = 4, 0.05


class NoLocks(RuntimeError):
    """The file system locks no files, so nothing would keep two drivers apart."""


@contextmanager
def holding(file: Path) -> Iterator[bool]:
    """Hold the lock for the block, if it can be had; yields whether it could."""
    handle = _take(file)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            file.unlink(missing_ok=True)
            os.close(handle)


def is_held(file: Path) -> bool:
    """Whether a driver holds the lock right now; a file that one has left behind holds nobody."""
    try:
        handle = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared: two who look at the same moment must not take each other for a driver.
        return not _could_lock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _take(file: Path) -> int | None:
    for left in reversed(range(TRIES)):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # another driver has just removed the folder, which was empty
            continue
        is_ours = False
        try:
            is_ours = _could_lock(handle, fcntl.LOCK_EX) and _is_still(file, handle)
        except NoLocks:
            file.unlink(missing_ok=True)
            raise
        finally:
            if not is_ours:
                os.close(handle)
        if is_ours:
            os.utime(file)  # a killed driver may have left it: what is younger is meant for us
            return handle
        if left:
            time.sleep(TRY_SECONDS)
    return None


def _could_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise NoLocks(
            f"files cannot be locked there ({error.strerror}), so two drivers could run one sweep; "
            "set storage.path (or SWEEPS_HOME) to a file system with locks"
        ) from error
    return True


def _is_still(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
