"""Of the folder that sweeps are kept in: whether what a resume rests on holds there, and space."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from resnet_core.durable import sync_file, sync_folder
from sweeps import driver_lock
from sweeps.doctor.finding import Finding, ok, problem, warning
from sweeps.spec import Sweep

_GIGABYTE = 1e9
_LITTLE_SPACE = 5e9
"""Bytes; the quickstart sweep writes 1.6 GB, checkpoints and their copy for MLflow."""
PROBE = ".sweeps-doctor-"
"""What the names of files begin with that are gone at the end of a check."""


def existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())


def check_storage(root: Path) -> Finding:
    """Write, flush, rename and lock there as a sweep does; what was made is removed.

    Args:
        root: Of all sweeps; a sweep makes it if it is not there.
    """
    folder = existing(root)
    fix = "set storage.path (or SWEEPS_HOME) to a writable folder of a file system with locks"
    try:
        probe = Path(tempfile.mkdtemp(prefix=PROBE, dir=folder))
    except OSError as error:
        return problem("storage", f"{folder} cannot be written: {error.strerror}", fix)
    try:
        wrong = _try_out(probe)
    except OSError as error:
        wrong = f"a write, a flush or a rename there fails: {error.strerror}"
    finally:
        shutil.rmtree(probe, ignore_errors=True)
    if wrong:
        return problem("storage", f"{folder}: {wrong}", fix)
    return ok("storage", f"{root}: writes, renames and locks as it should")


def _try_out(probe: Path) -> str | None:
    new, final = probe / "new", probe / "final"
    new.mkdir()
    with (new / "model.pt").open("wb") as file:
        file.write(b"weights")
        sync_file(file)
    sync_folder(new)
    new.rename(final)
    sync_folder(probe)
    for name, text in (("state.json", "old"), (".state.json", "new")):
        (probe / name).write_text(text)
    (probe / ".state.json").replace(probe / "state.json")
    if (final / "model.pt").read_bytes() != b"weights" or (
        probe / "state.json"
    ).read_text() != "new":
        return "what was renamed does not read back"
    return _try_lock(probe)


def _try_lock(folder: Path) -> str | None:
    """Lock a sweep's file as a driver does, and again as a second driver would."""
    file, options = folder / driver_lock.NAME, os.O_RDWR | os.O_CREAT
    first, second = os.open(file, options), os.open(file, options)
    try:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"files cannot be locked (a network disk without locks?): {error.strerror}"
        with suppress(BlockingIOError):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return "locks hold nobody back (a network disk?): two drivers could run one sweep"
        return None
    finally:
        os.close(first)
        os.close(second)


def check_space(root: Path, sweep: Sweep | None) -> Finding:
    """Compare the free space with what the checkpoints may take; with a sweep that takes seconds.

    Args:
        root: Of all sweeps.
        sweep: What is to be run; None: any.
    """
    free = shutil.disk_usage(existing(root)).free
    has = f"{free / _GIGABYTE:.1f} GB free for {root}"
    fix = "free some, set storage.path to a larger disk, or keep fewer (storage.keep_best)"
    if sweep is None:
        if free < _LITTLE_SPACE:
            return warning("disk", has, fix)
        return ok("disk", has)
    from sweeps.planning.plan import plan_sweep

    needed = plan_sweep(sweep).disk.needed_bytes
    if needed is None:
        return ok("disk", f"{has}; how many checkpoints there will be is not known")
    both = f"{has}, and the checkpoints may take {needed / _GIGABYTE:.1f} GB"
    return ok("disk", both) if needed <= free else problem("disk", both, fix)
