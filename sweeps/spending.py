"""What a sweep has spent, what it has committed itself to, and when its budget lets nothing start.

An hour is a worker's hour times its GPUs (or its CPUs, where it has no GPU). What is still to come
is estimated by the mean of the epochs trained so far.
"""

import math
from dataclasses import dataclass, field

from sweeps.sections import BudgetConfig, ObjectiveConfig, ResourcesConfig


def hours_per_worker_second(resources: ResourcesConfig) -> float:
    """GPU-hours (CPU-hours without GPUs) that a second of one worker costs."""
    units = resources.gpus_per_worker or resources.cpus_per_worker
    return units / 3600


@dataclass
class Ledger:
    """Epochs and seconds of everything that was trained.

    Attributes:
        worker_seconds: Wall-clock seconds times workers.
        epochs: Trained so far.
        running: What is being trained: its key -> epochs that are left of it.
    """

    worker_seconds: float = 0.0
    epochs: int = 0
    running: dict[str, float] = field(default_factory=dict)

    @property
    def seconds_per_epoch(self) -> float:
        """Worker-seconds of the mean epoch, 0 before the first."""
        return self.worker_seconds / self.epochs if self.epochs else 0.0

    @property
    def epochs_left(self) -> float:
        """Of everything that is being trained."""
        return sum(self.running.values())


@dataclass(frozen=True)
class Budget:
    """The limits of a sweep.

    Args:
        config: As written in the file.
        resources: Of a trial, for hours and slots.
        objective: For the target and what counts as an improvement.
    """

    config: BudgetConfig
    resources: ResourcesConfig
    objective: ObjectiveConfig

    @property
    def hours(self) -> tuple[str, float] | None:
        """The limit on hours with its name, if there is one."""
        for name in ("gpu_hours", "cpu_hours"):
            limit = getattr(self.config, name)
            if limit is not None:
                return name, limit
        return None

    def spent_up(
        self,
        ledger: Ledger,
        *,
        wall_seconds: float,
        epochs_ahead: float,
        reserved_epochs: float,
        slots: int,
    ) -> str | None:
        """Say why the next schedule cannot start within the budget; None if it can.

        Args:
            ledger: What was spent and what runs.
            wall_seconds: That the sweep has taken, over all its drivers.
            epochs_ahead: Of the schedule that would start.
            reserved_epochs: That have to be trained whatever happens: the confirmation.
            slots: Schedules that are trained at a time, at least 1.
        """
        mean = ledger.seconds_per_epoch
        committed = mean * (ledger.epochs_left + epochs_ahead + reserved_epochs)
        if self.hours is not None:
            name, limit = self.hours
            rate = hours_per_worker_second(self.resources)
            if (ledger.worker_seconds + committed) * rate > limit:
                spent = ledger.worker_seconds * rate
                return (
                    f"budget: {spent:.3g} of {limit:g} {name} are spent, the rest is not enough "
                    "for another one"
                )
        if self.config.wall_clock is not None:
            limit = self.config.wall_clock.seconds
            longest = max([epochs_ahead, *ledger.running.values()])
            ahead = longest + math.ceil(reserved_epochs / slots)
            if wall_seconds + mean * ahead / self.resources.max_workers > limit:
                return (
                    f"budget: {wall_seconds / 60:.1f} minutes of wall_clock "
                    f"{self.config.wall_clock} have passed, the rest is not enough for another one"
                )
        return None

    def has_reached_target(self, best: float | None) -> bool:
        """Whether the best objective of a whole schedule so far is as good as asked for."""
        sign, target = 1 if self.objective.mode == "max" else -1, self.config.target
        return target is not None and best is not None and sign * best >= sign * target

    def satisfied(self, best: float | None, without_improvement: int) -> str | None:
        """Say why enough is known; None if not.

        Args:
            best: The best objective of a whole schedule so far.
            without_improvement: Trials since one was better than all before it.
        """
        target, window = self.config.target, self.config.no_improvement
        if self.has_reached_target(best):
            return f"budget: {self.objective.metric} {best:g} has reached the target {target:g}"
        if window is not None and without_improvement >= window:
            return f"budget: {without_improvement} trials in a row brought no improvement"
        return None
