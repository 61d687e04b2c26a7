"""Sweeps that lie in an object store: a process works on files, in a copy of its own.

An object store knows neither appending nor renaming nor locks, and files are what everything here
reads and writes. So what is opened by an address is fetched into a temporary folder, which ends
with the process, and each file that is complete there is published as an object. An object has one
writer, as a file has; what this process has published it does not fetch again.

What takes a path does nothing to one that is no such copy. Weights are fetched on demand.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from sweeps.object_store import Object, ObjectStore, is_address, join

_PREFIX = "sweeps-copy-"
_ALIVE = ".alive"
_WEIGHTS = "checkpoints"
_AT_ONCE = 16
_TICK_NS = 2 * 10**9
"""Stores date an object to the second, so one that is younger may have changed unseen."""
_LAST = ("manifest.json", "metrics.jsonl", "state.json")
"""Who sees one of these may rely on the files beside it."""

_open: dict[Path, "Mirror"] = {}


def opened(address: str) -> Path:
    """A local copy, empty yet, of a folder in an object store; it is removed with the process.

    Raises:
        BadAddress: If it is no address of one.
    """
    known = next((root for root, one in _open.items() if one.address == address), None)
    return known or Mirror(address).root


@contextmanager
def at(place: str) -> Iterator[Path]:
    """What `place_of` names, as a folder of this process, whole; a copy goes with the block."""
    if not is_address(place):
        yield Path(place)
        return
    mirror = Mirror(place)
    try:
        mirror.fetch(weights=True)
        yield mirror.root
    finally:
        mirror.close()


def place_of(path: Path) -> str:
    """What another process, on another machine, opens to get at a folder: path or address."""
    mirror = _of(path)
    return str(path) if mirror is None else join(mirror.address, mirror.name_of(path))


def is_copy(path: Path) -> bool:
    """Whether what lies there is a copy of what lies in an object store."""
    return _of(path) is not None


def fetch(path: Path, *, weights: bool = False) -> None:
    """Bring a file or folder up to date: new, changed and removed objects.

    Args:
        path: Of the file or folder; there may be none yet.
        weights: Whether checkpoints are wanted; without it those that were fetched stay.
    """
    if (mirror := _of(path)) is not None:
        mirror.fetch(mirror.name_of(path), weights=weights)


def publish(path: Path) -> None:
    """Write a file, or what has changed in a folder, to the object store."""
    if (mirror := _of(path)) is not None:
        mirror.publish(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder as well as that goes, here and there.

    Raises:
        OSError: If the file, or what lies in the object store, cannot be removed.
    """
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    if (mirror := _of(path)) is not None:
        mirror.withdraw(mirror.name_of(path))


def try_to_remove(path: Path) -> None:
    """The same of what nobody misses, and whoever comes next can remove."""
    with suppress(OSError):
        remove(path)


def forget(path: Path) -> None:
    """Remove the copy of a folder that takes much space, and nothing else."""
    if (mirror := _of(path)) is not None:
        mirror.forget(path)


def bytes_below(path: Path) -> int | None:
    """What the checkpoints below a folder take in the object store; None of an ordinary folder."""
    if (mirror := _of(path)) is None:
        return None
    return sum(one.size for one in mirror.store.listed(mirror.name_of(path)) if _is_weights(one))


def store_of(path: Path) -> tuple[ObjectStore, str] | None:
    """The object store behind a path, and the name there; None of an ordinary one."""
    mirror = _of(path)
    return None if mirror is None else (mirror.store, mirror.name_of(path))


def changed_ns(path: Path) -> int | None:
    """When a file was written last, by the clock of where it lies; None if there is none."""
    shared = store_of(path)
    if shared is None:
        return path.stat().st_mtime_ns if path.exists() else None
    store, name = shared
    found = store.look(name)
    return None if found is None else found.changed_ns


class Mirror:
    """A local copy of a folder in an object store.

    Args:
        address: Of the folder.

    Raises:
        BadAddress: If it is no address of one.
    """

    def __init__(self, address: str) -> None:
        self.address, self.store = address, ObjectStore(address)
        self.root = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        self._alive = _lock(self.root / _ALIVE)
        self._exclusive = threading.RLock()  # the tracker fetches while the driver publishes
        self._fetched: dict[str, Object] = {}
        self._published: set[str] = set()
        self._same: dict[str, tuple[int, int]] = {}  # files that are as their object is
        _open[self.root] = self
        atexit.register(self.close)
        _remove_left_behind(self.root.parent)

    def close(self) -> None:
        """Remove the copy."""
        if _open.pop(self.root, None) is not None:
            atexit.unregister(self.close)
            shutil.rmtree(self.root, ignore_errors=True)
            os.close(self._alive)

    def name_of(self, path: Path) -> str:
        """Of the object that a file in the copy is, or of the folder."""
        name = path.relative_to(self.root).as_posix()
        return "" if name == "." else name

    def fetch(self, below: str = "", *, weights: bool = False) -> None:
        """See `fetch`."""
        with self._exclusive:
            one = self.store.look(below) if below else None
            found = self.store.listed(below) if one is None else [one]
            wanted = [o for o in found if self._is_news(o) and (weights or not _is_weights(o))]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(self._download, wanted))
            there = {one.name for one in found}
            gone = [name for name in self._fetched if name not in there and _is_in(name, below)]
            for name in gone:
                self._fetched.pop(name)
                (self.root / name).unlink(missing_ok=True)

    def _is_news(self, found: Object) -> bool:
        if found.name in self._published:
            return False
        return self._fetched.get(found.name) != found or (
            time.time_ns() - found.changed_ns < _TICK_NS
        )

    def _download(self, found: Object) -> None:
        path = self.root / found.name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.fetched")
        try:
            self.store.download(found.name, temporary)
        except FileNotFoundError:  # its writer has just removed it
            return
        temporary.replace(path)
        self._fetched[found.name], self._same[found.name] = found, _state(path)

    def publish(self, path: Path) -> None:
        """See `publish`."""
        with self._exclusive:
            files = [path] if path.is_file() else _files(path)
            for file in sorted(files, key=lambda file: file.name in _LAST):
                self._upload(file)
            if not path.is_file():
                below, here = self.name_of(path), {self.name_of(file) for file in files}
                known = self._published.union(self._fetched)
                for name in [one for one in known if _is_in(one, below) and one not in here]:
                    self._withdraw_one(name)

    def _upload(self, file: Path) -> None:
        name, state = self.name_of(file), _state(file)
        if self._same.get(name) != state:
            self.store.upload(file, name)
            self._published.add(name)
            self._same[name] = state

    def withdraw(self, below: str) -> None:
        """Remove an object, or all below a folder, from the store."""
        with self._exclusive:
            for name in [below, *(one.name for one in self.store.listed(below))]:
                self._withdraw_one(name)

    def _withdraw_one(self, name: str) -> None:
        self.store.remove(name)
        self._fetched.pop(name, None)
        self._published.discard(name)

    def forget(self, path: Path) -> None:
        """See `forget`."""
        with self._exclusive:
            below = self.name_of(path)
            for name in [one for one in self._fetched if _is_in(one, below)]:
                self._fetched.pop(name)
            shutil.rmtree(path, ignore_errors=True)


def _of(path: Path) -> Mirror | None:
    return next((one for root, one in _open.items() if path.is_relative_to(root)), None)


def _is_in(name: str, below: str) -> bool:
    return not below or name == below or name.startswith(f"{below}/")


def _is_weights(one: Object) -> bool:
    return _WEIGHTS in one.name.split("/")


def _files(folder: Path) -> list[Path]:
    """What is complete: the names of half-written files and scratch folders begin with a dot."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        found += _files(path) if path.is_dir() else [path]
    return found


def _state(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _lock(file: Path) -> int:
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def _remove_left_behind(parent: Path) -> None:
    """Copies of processes that were killed: nobody holds their lock any more."""
    for file in parent.glob(f"{_PREFIX}*/{_ALIVE}"):
        with suppress(OSError):  # it lives, or is another user's
            handle = os.open(file, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(file.parent, ignore_errors=True)
            finally:
                os.close(handle)
