"""A sweep's folder: everything that outlives the driver, and where it lies.

    <storage>/<sweep>/
      sweep.yaml  resolved.yaml  environment.json   written once, before the first trial
      state.json                                    the sweep: id, status, times, test results
      ray.log                                       what Ray's daemons complained of
      trials/t0007-1f9c2a4b/
        recipe.yaml                                 the resolved recipe
        trial.json                                  the trial: what varied, status, cost
        metrics.jsonl                               one line per epoch, written by rank 0
        checkpoints/ep0003/                         newest and best

Only the driver writes `state.json` and `trial.json`, each by rename, so a reader never sees half
of one. Reading needs neither Ray nor MLflow.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from sweeps.spool import Spool

TrialStatus = Literal["pending", "running", "completed", "stopped_early", "failed"]
ENDED: tuple[TrialStatus, ...] = ("completed", "stopped_early", "failed")


class SweepNotFound(LookupError):
    """No sweep of this name in the storage."""


class SweepBusy(RuntimeError):
    """Another driver is running this sweep."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the driver knows it.

    Attributes:
        index: 0 is the recipe itself.
        name: For people: ``t0007 lr=0.8 width=16``.
        digest: Of the resolved recipe, sha256 in hex.
        overrides: Flat, dotted path -> value; empty for trial 0.
        status: pending, running, completed, stopped_early or failed.
        reason: Why it failed: nan, oom, data, worker, node or error.
        error: The traceback of a failure.
        worker_seconds: Wall-clock seconds times workers, over all attempts.
        start_seconds: From the decision to run the trial to its first optimizer step.
        suggested_at: Unix time of that decision.
    """

    index: int
    name: str
    digest: str
    overrides: dict[str, Any]
    status: TrialStatus = "pending"
    reason: str | None = None
    error: str | None = None
    worker_seconds: float = 0.0
    start_seconds: float | None = None
    suggested_at: float | None = None

    @property
    def id(self) -> str:
        """Short name, ``t0007``."""
        return f"t{self.index:04d}"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


@dataclass(frozen=True)
class SweepState:
    """One sweep as the driver knows it; times are Unix seconds."""

    id: str
    status: Literal["running", "finished", "interrupted"] = "running"
    started_at: float = 0.0
    wall_seconds: float = 0.0
    parent_run_id: str | None = None
    test: dict[str, dict[str, float]] = field(default_factory=dict)


def home() -> Path:
    """The folder that holds ``results/``, ``mlflow.db`` and ``mlartifacts/`` unless told otherwise.

    ``$SWEEPS_HOME`` if set; else the current folder. Inside a `ray job submit --working-dir`,
    whose current folder is a copy that Ray deletes, it is ``~/resnet-sweeps``.
    """
    if value := os.environ.get("SWEEPS_HOME"):
        return Path(value).expanduser().resolve()
    current = Path.cwd()
    if "_ray_pkg_" in current.name and "runtime_resources" in current.parts:
        return Path.home() / "resnet-sweeps"
    return current


def storage_root(path: str | None) -> Path:
    """The folder of all sweeps: as given, else ``results`` in `home`."""
    return Path(path).expanduser().resolve() if path else home() / "results"


class SweepFolder:
    """The folder of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials_path = path / "trials"

    @classmethod
    def find(cls, root: Path, name: str) -> "SweepFolder":
        """Open an existing sweep.

        Raises:
            SweepNotFound: If there is none; names the nearest one.
        """
        folder = cls(root / name)
        if folder.exists:
            return folder
        known = sorted(path.parent.name for path in root.glob("*/state.json"))
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there: {', '.join(known) or 'none'}"
        raise SweepNotFound(f"no sweep {name!r} in {root}{hint}")

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.path.name

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
        """Hold the sweep for this driver; the lock is the folder's own, so nothing is left behind.

        Raises:
            SweepBusy: If another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SweepBusy(f"another driver is running {self.name!r} ({self.path})") from None
            yield
        finally:
            os.close(handle)

    @property
    def is_running(self) -> bool:
        """Whether a driver holds the sweep right now."""
        try:
            with self.locked():
                return False
        except SweepBusy:
            return True

    def read_state(self) -> SweepState:
        """Read ``state.json``."""
        return SweepState(**json.loads((self.path / "state.json").read_text()))

    def write_state(self, state: SweepState) -> SweepState:
        """Write ``state.json`` and return what was written."""
        write_atomically(self.path / "state.json", json.dumps(asdict(state), indent=1))
        return state

    def trial_folder(self, record: TrialRecord) -> Path:
        """``trials/t0007-<first 8 of the recipe's digest>``."""
        return self.trials_path / f"{record.id}-{record.digest[:8]}"

    def create_trial(self, record: TrialRecord, recipe_yaml: str) -> None:
        """Make the trial's folder, with the resolved recipe that its workers will read."""
        folder = self.trial_folder(record)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "recipe.yaml", recipe_yaml)
        self.write_record(record)

    def write_record(self, record: TrialRecord) -> None:
        """Write ``trial.json``."""
        file = self.trial_folder(record) / "trial.json"
        write_atomically(file, json.dumps(asdict(record), indent=1))

    def read_records(self) -> list[TrialRecord]:
        """Every trial, by index."""
        folders = (file.parent for file in self.trials_path.glob("t*/trial.json"))
        return sorted(map(read_record, folders), key=lambda record: record.index)

    def history(self, record: TrialRecord) -> list[dict[str, Any]]:
        """The trial's epochs, oldest first."""
        return Spool(self.trial_folder(record)).read()[0]


def read_record(trial_folder: Path) -> TrialRecord:
    """Read ``trial.json``."""
    return TrialRecord(**json.loads((trial_folder / "trial.json").read_text()))


def write_atomically(path: Path, text: str) -> None:
    """Replace the file by ``text`` in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
