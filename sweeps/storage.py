"""A sweep's folder: everything that outlives the driver, and where it lies.

    <storage>/<sweep>/
      sweep.yaml  resolved.yaml                     written once, before the first trial
      environment.json  git.diff                    likewise
      state.json                                    the sweep: id, status, times, test results
      ray.log                                       what Ray's daemons complained of
      driver.lock                                   while a driver runs it
      trials/t0007-1f9c2a4b/
        recipe.yaml                                 the resolved recipe
        trial.json                                  the trial: what varied, status, cost
        metrics.jsonl                               one line per epoch, written by rank 0
        data.json                                   digests of the data, written by rank 0
        hangs.txt                                   what workers that hung were doing, if any did
        checkpoints/ep0003/                         newest and best
        rungs/ep0002/                               the same of a shorter schedule (stretch)
        mutations.jsonl                             what it took over from others (pbt, pb2)
      confirm/t0007-s1-3b0c9d11/                    the same of a training with a fresh seed

Only the driver writes `state.json` and `trial.json`, each by rename, so a reader never sees half
of one. Reading needs neither Ray nor MLflow. In an object store the same files are objects, and
what lies here is this process's copy of them (`mirror.py`).
"""

import json
import shutil
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from resnet_core.durable import write_durably
from sweeps import driver_lock, lease, mirror
from sweeps.names import check_name
from sweeps.record import SweepState, TrialRecord
from sweeps.spool import Spool

DATA_FILE = "data.json"


class SweepNotFound(LookupError):
    """No sweep of this name in the storage."""


class TrialNotFound(LookupError):
    """No trial of this name in the sweep."""


class SweepBusy(RuntimeError):
    """Another driver is running this sweep."""


class SweepFolder:
    """The folder of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials_path = path / "trials"

    @classmethod
    def find(cls, root: Path, name: str) -> "SweepFolder":
        """Open an existing sweep.

        Raises:
            InvalidName: If the name could lead out of the storage.
            SweepNotFound: If there is none; names the nearest one.
        """
        folder = cls(root / check_name(name))
        folder.refresh()
        if folder.exists:
            return folder
        known = [folder.name for folder in all_sweeps(root)]
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there: {', '.join(known) or 'none'}"
        raise SweepNotFound(f"no sweep {name!r} in {mirror.place_of(root)}{hint}")

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.path.name

    @property
    def place(self) -> str:
        """Where it lies, for everybody: its path, or its address."""
        return mirror.place_of(self.path)

    def refresh(self) -> None:
        """See what other machines have written since; in an ordinary folder one always does."""
        mirror.fetch(self.path)

    def hand_out(self, file: Path) -> Path:
        """A file of the sweep that the user may keep: itself, or as ``<sweep>-<file>`` here.

        What lies in an object store has a copy on this machine only as long as the process lives.
        """
        if not mirror.is_copy(file):
            return file
        return Path(shutil.copy(file, Path.cwd() / f"{self.name}-{file.name}"))

    @property
    def exists(self) -> bool:
        """Whether a driver has ever begun this sweep."""
        return (self.path / "state.json").exists()

    @property
    def sweep_file(self) -> Path:
        """The whole sweep in one file: the recipe inlined, every ``--set`` applied."""
        return self.path / "resolved.yaml"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the sweep for this driver; nothing of the lock is left behind.

        Raises:
            SweepBusy: If another process holds it, on this machine or another one.
        """
        try:
            with self._lock() as is_ours:
                if not is_ours:
                    raise SweepBusy(f"another driver is running {self.name!r} ({self.place})")
                self.refresh()
                self._remove_half_written()
                yield
        finally:
            with suppress(OSError):  # it holds a sweep, unless none was begun
                self.path.rmdir()

    def _lock(self) -> AbstractContextManager[bool]:
        file = self.path / driver_lock.NAME
        shared = mirror.store_of(file)
        return driver_lock.holding(file) if shared is None else lease.holding(*shared)

    def _remove_half_written(self) -> None:
        """What a driver that was killed was just going to rename."""
        for folder in ("", "trials/*/", "trials/*/rungs/*/", "confirm/*/"):
            for file in self.path.glob(f"{folder}.*.*.*"):
                if file.is_file() and file.name.rpartition(".")[2].isdecimal():
                    file.unlink(missing_ok=True)

    @property
    def is_running(self) -> bool:
        """Whether a driver holds the sweep right now."""
        file = self.path / driver_lock.NAME
        shared = mirror.store_of(file)
        return driver_lock.is_held(file) if shared is None else lease.is_held(*shared)

    @property
    def holds_something_else(self) -> bool:
        """Whether no sweep was begun here, and yet the folder is not free."""
        if self.exists or not self.path.exists():
            return False
        return any(path.name != driver_lock.NAME for path in self.path.iterdir())

    def read_state(self) -> SweepState:
        """Read ``state.json``."""
        return SweepState(**json.loads((self.path / "state.json").read_text()))

    def write_state(self, state: SweepState) -> SweepState:
        """Write ``state.json`` and return what was written."""
        write_atomically(self.path / "state.json", json.dumps(asdict(state), indent=1))
        return state

    def trial_folder(self, record: TrialRecord) -> Path:
        """``trials/t0007-<first 8 of the recipe's digest>``, or the same below ``confirm``."""
        parent = self.trials_path if record.copy == 0 else self.path / "confirm"
        return parent / f"{record.id}-{record.digest[:8]}"

    def training_folder(self, record: TrialRecord, rung: int | None) -> Path:
        """Where a schedule of the trial is trained: the whole one, or a rung of so many epochs."""
        folder = self.trial_folder(record)
        return folder if rung is None else folder / "rungs" / f"ep{rung:04d}"

    def create_training(self, record: TrialRecord, rung: int | None, recipe_yaml: str) -> Path:
        """Make the folder of one schedule of the trial, with the recipe its workers will read."""
        folder = self.training_folder(record, rung)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "recipe.yaml", recipe_yaml)
        return folder

    def write_record(self, record: TrialRecord) -> None:
        """Write ``trial.json``."""
        file = self.trial_folder(record) / "trial.json"
        write_atomically(file, json.dumps(asdict(record), indent=1))

    def read_records(self, skip: Container[Path] = ()) -> list[TrialRecord]:
        """Every trial of the search, by index, but those whose folders are to be skipped."""
        return _read_records(self.trials_path, skip)

    def read_confirmations(self, skip: Container[Path] = ()) -> list[TrialRecord]:
        """Every training with a fresh seed, by the trial's index and its seed; likewise."""
        return _read_records(self.path / "confirm", skip)

    def find_trial(self, trial_id: str, *, confirmations: bool = False) -> TrialRecord:
        """The record of ``t0007``, with ``confirmations`` also of ``t0007-s1``.

        Raises:
            TrialNotFound: If there is none; names the nearest.
        """
        records = [*self.read_records(), *(self.read_confirmations() if confirmations else [])]
        known = {record.id: record for record in records}
        if trial_id not in known:
            near = get_close_matches(trial_id, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise TrialNotFound(f"{self.name} has no trial {trial_id!r}{hint}")
        return known[trial_id]

    def history(self, record: TrialRecord, rung: int | None = None) -> list[dict[str, Any]]:
        """The epochs of the whole schedule, or of a rung's, oldest first."""
        return Spool(self.training_folder(record, rung)).read()[0]

    def checkpoint_bytes(self) -> int:
        """What all checkpoints take on the disk, of trials, their rungs and confirmations."""
        in_store = mirror.bytes_below(self.path)
        if in_store is not None:
            return in_store
        folders = [*self.path.glob("*/t*/checkpoints"), *self.path.glob("*/t*/rungs/*/checkpoints")]
        return sum(
            _size(file) for folder in folders for inner in _in(folder) for file in _in(inner)
        )


def _in(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # a worker has just replaced it
        return []


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # a worker has just replaced it
        return 0


def all_sweeps(root: Path) -> list[SweepFolder]:
    """Every sweep that was begun in a storage, by name."""
    mirror.fetch(root)
    return [SweepFolder(file.parent) for file in sorted(root.glob("*/state.json"))]


def _read_records(folder: Path, skip: Container[Path]) -> list[TrialRecord]:
    folders = [file.parent for file in folder.glob("t*/trial.json")]
    found = [read_record(path) for path in folders if path not in skip]
    return sorted(found, key=lambda record: (record.index, record.copy))


def read_record(trial_folder: Path) -> TrialRecord:
    """Read ``trial.json``."""
    return TrialRecord(**json.loads((trial_folder / "trial.json").read_text()))


def read_data_file(training_folder: Path) -> dict[str, Any] | None:
    """What the worker wrote (`data_file`); None before the end of the training's first epoch."""
    file = training_folder / DATA_FILE
    return json.loads(file.read_text()) if file.exists() else None


def write_atomically(path: Path, text: str) -> None:
    """Replace the file by ``text`` in one step: one or the other outlives a loss of power."""
    write_durably(path, text.encode())
    mirror.publish(path)
