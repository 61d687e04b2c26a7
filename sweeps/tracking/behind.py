"""How far MLflow is behind a sweep's folder: what lies in the spools, less what was accepted."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweeps.record import TrialRecord
from sweeps.spool import FILE_NAME, Spool
from sweeps.storage import SweepFolder
from sweeps.tracking.mark import Mark


@dataclass(frozen=True)
class Behind:
    """What the tracking server has not accepted yet.

    Attributes:
        points: Epochs that were trained, over all schedules of all trials and confirmations.
        points_behind: Those of them that were not accepted.
        trials_behind: Trials and confirmations with such epochs, or whose run does not show yet
            that they have begun or ended.
    """

    points: int = 0
    points_behind: int = 0
    trials_behind: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As ``-o json`` prints it."""
        return asdict(self)

    def __str__(self) -> str:
        """``3 of 40 points behind, of 2 trials``; ``up to date`` if nothing is."""
        if not self.trials_behind:
            return "up to date"
        trials = "trial" if self.trials_behind == 1 else "trials"
        return (
            f"{self.points_behind} of {self.points} points behind, of {self.trials_behind} {trials}"
        )


def read_behind(folder: SweepFolder) -> Behind:
    """Count what a sweep's tracker has still to send; reads marks and spools, asks no server."""
    points = points_behind = trials_behind = 0
    for record in [*folder.read_records(), *folder.read_confirmations()]:
        trial_folder = folder.trial_folder(record)
        # The mark first: what is written in between counts as behind, never as less than nothing.
        mark = Mark.read(trial_folder)
        waiting = _unsent(trial_folder, mark)
        points += waiting + (mark.points if mark else 0)
        points_behind += waiting
        trials_behind += bool(waiting) or not _is_told(record, mark)
    return Behind(points, points_behind, trials_behind)


def _unsent(trial_folder: Path, mark: Mark | None) -> int:
    """Epochs behind the mark's offsets, whose keys are the names of the schedules' folders."""
    offsets = mark.offsets if mark else {}
    spools = {"whole": trial_folder}
    spools |= {file.parent.name: file.parent for file in trial_folder.glob(f"rungs/*/{FILE_NAME}")}
    return sum(len(Spool(path).read(offset=offsets.get(key, 0))[0]) for key, path in spools.items())


def _is_told(record: TrialRecord, mark: Mark | None) -> bool:
    """Whether the trial's run is there, and closed if the trial has ended."""
    if mark is None:
        return record.status == "pending"
    return not record.ended or mark.status == record.status
