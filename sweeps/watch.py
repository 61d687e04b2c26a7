"""Looking at a sweep again and again until its driver is gone."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sweeps.answer.overview import Phase, phase_of
from sweeps.answer.results import SweepResult, read_result
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder
from sweeps.tracking.behind import Behind, read_behind

LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Look:
    """A sweep at one moment.

    Attributes:
        result: Its rows.
        phase: What it is doing.
        behind: How far its tracking is behind.
    """

    result: SweepResult
    phase: Phase
    behind: Behind

    @property
    def is_running(self) -> bool:
        """Whether a driver had it."""
        return self.phase == "running"

    def to_dict(self) -> dict[str, Any]:
        """Everything, as ``status -o json`` prints it."""
        return {
            **self.result.to_dict(),
            "status": self.phase,
            "running": self.is_running,
            "tracking": self.behind.to_dict(),
        }


def look_at(folder: SweepFolder, sweep: Sweep) -> Look:
    """Read a sweep's folder. Its driver first: what has ended stays as it is read."""
    phase = phase_of(folder)
    return Look(read_result(folder, sweep), phase, read_behind(folder))


def looks(
    folder: SweepFolder, sweep: Sweep, pause: Callable[[float], object] = time.sleep
) -> Iterator[Look]:
    """Look every `LOOK_SECONDS`; the last look is the first one that sees no driver."""
    while True:
        folder.refresh()
        look = look_at(folder, sweep)
        yield look
        if not look.is_running:
            return
        pause(LOOK_SECONDS)


def changes(seen: Iterator[Look]) -> Iterator[Look]:
    """Those looks that differ from the one before; how far tracking is behind is no difference."""
    before = None
    for look in seen:
        now = (look.result.to_dict(), look.phase)
        if now != before:
            yield look
        before = now
