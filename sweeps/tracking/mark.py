"""How far a trial is mirrored into MLflow, on disk, so that the next driver goes on from there."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sweeps.storage import write_atomically


@dataclass(frozen=True)
class Mark:
    """How far a trial is mirrored: ``tracking.json`` in its folder."""

    run_id: str
    status: str  # of the trial, as the run shows it
    offsets: dict[str, int] = field(default_factory=dict)  # schedule -> bytes of its spool
    points: int = 0  # epochs sent
    steps: dict[str, int] = field(default_factory=dict)  # metric -> the highest step sent
    has_checkpoints: bool = False  # whether best and last are artifacts of the run
    has_data: bool = False  # whether the data are inputs of the run

    @staticmethod
    def read(folder: Path) -> "Mark | None":
        """The trial's mark, None before its run was created."""
        file = folder / "tracking.json"
        return Mark(**json.loads(file.read_text())) if file.exists() else None

    def write(self, folder: Path) -> "Mark":
        """Write the mark and return it."""
        write_atomically(folder / "tracking.json", json.dumps(asdict(self)))
        return self
