"""How long a sweep that runs will still take, by what its epochs have taken so far."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sweeps.memory import Memory
from sweeps.spec import Sweep
from sweeps.spending import Budget, hours_per_worker_second


@dataclass(frozen=True)
class Share:
    """What is spent of one of the budget's limits, both in the unit that the name tells."""

    name: str
    spent: float
    limit: float

    def __str__(self) -> str:
        """``0.31 of 2 gpu_hours``, ``125 of 300 minutes``."""
        return f"{self.spent:.{0 if self.spent >= 10 else 2}f} of {self.limit:g} {self.name}"


class Forecast:
    """Tells, at any moment, how far the sweep is and about when it ends.

    Args:
        sweep: The sweep.
        memory: Its trials, as they are now.
        epochs_to_come: Tells how many epochs of what has not begun yet are expected; infinite where
            only a budget ends the sweep.
        slots: Schedules that are trained at a time.
        wall_seconds: Tells how long the sweep has taken, over all its drivers.
    """

    def __init__(
        self,
        sweep: Sweep,
        memory: Memory,
        *,
        epochs_to_come: Callable[[], float],
        slots: int,
        wall_seconds: Callable[[], float],
    ) -> None:
        spec = sweep.spec
        self._memory, self._slots = memory, slots
        self._epochs_to_come, self._wall_seconds = epochs_to_come, wall_seconds
        self._workers = spec.resources.max_workers
        self._rate = hours_per_worker_second(spec.resources)
        self._budget = Budget(spec.budget, spec.resources, spec.objective)

    @property
    def seconds_left(self) -> float | None:
        """About how long the sweep still takes, its budget considered; None before any epoch."""
        ledger = self._memory.ledger
        if not ledger.epochs:
            return None
        left = (ledger.epochs_left + self._epochs_to_come()) * ledger.seconds_per_epoch
        seconds = left / self._workers / self._slots
        if self._budget.hours is not None:
            _, hours = self._budget.hours
            seconds_in_budget = hours / self._rate - ledger.worker_seconds
            seconds = min(seconds, seconds_in_budget / self._workers / self._slots)
        if self._budget.config.wall_clock is not None:
            limit = self._budget.config.wall_clock.seconds
            seconds = min(seconds, limit - self._wall_seconds())
        return max(0.0, seconds) if math.isfinite(seconds) else None

    @property
    def shares(self) -> list[Share]:
        """Of the limits that the budget sets on time: hours of workers, minutes of the sweep."""
        found = []
        if self._budget.hours is not None:
            name, hours = self._budget.hours
            found.append(Share(name, self._memory.ledger.worker_seconds * self._rate, hours))
        if self._budget.config.wall_clock is not None:
            minutes = self._budget.config.wall_clock.seconds / 60
            found.append(Share("minutes", self._wall_seconds() / 60, minutes))
        return found

    @property
    def to_go(self) -> str:
        """``about 12 min to go``; empty while that is unknown."""
        seconds = self.seconds_left
        return "" if seconds is None else f"about {in_words(seconds)} to go"

    def __str__(self) -> str:
        """``about 12 min to go, 0.30 of 2 gpu_hours spent``."""
        return ", ".join(filter(None, [self.to_go, *(f"{share} spent" for share in self.shares)]))


def in_words(seconds: float) -> str:
    """A length of time with two digits or so: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
