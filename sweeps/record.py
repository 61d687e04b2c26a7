"""What the driver writes down of a sweep and of each trial; plain data, one JSON file each."""

from dataclasses import dataclass, field
from typing import Any, Literal

TrialStatus = Literal[
    "pending", "running", "paused", "completed", "stopped_early", "failed", "infeasible",
    "duplicate",
]  # fmt: skip
ENDED: tuple[TrialStatus, ...] = (
    "completed", "stopped_early", "failed", "infeasible", "duplicate"
)  # fmt: skip
UNTRAINED: tuple[TrialStatus, ...] = ("infeasible", "duplicate")
"""Statuses of trials that need no worker, unless ``worker_seconds`` says that one was tried."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the driver knows it.

    Attributes:
        index: 0 is the recipe itself.
        name: For people: ``t0007 lr=0.8 width=16``.
        digest: Of the resolved recipe (its seed and data are part of it), sha256 in hex.
        overrides: Flat, dotted path -> value; empty for trial 0.
        status: pending, running, paused (at a rung), completed, stopped_early, failed, infeasible
            or duplicate.
        reason: Why it failed or is infeasible: nan, oom, constraint, data, storage, worker, hang,
            error.
        error: The traceback of a failure, or the constraint that is violated.
        worker_seconds: Wall-clock seconds times workers, over all attempts and rungs.
        start_seconds: From the decision to run the trial to its first optimizer step.
        suggested_at: Unix time of that decision.
        ended_at: Unix time of its end.
        rung: Epochs of the schedule that it trains, or waits to train; None is the whole one.
        rungs: Of each shorter schedule that has ended: ``epochs`` and the objective's ``value``.
        twin: The trial whose resolved recipe is the same, if that is not trained again.
        origin: Where it comes from, if not from the search: ``rerun of t0003``.
        copy: 0 in the search; in the confirmation the number of the fresh seed, from 1.
        micro_batch_limit: Images of a worker in memory at a time, after it ran out of memory.
        costs: Of its model: parameters, flops, training_flops, where the sweep asks for them.
        violations: Constraint -> how far it is exceeded, as a share; at most 0 if it holds.
        sampler: What Optuna's sampler noted down when it suggested the trial.
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
    ended_at: float | None = None
    rung: int | None = None
    rungs: list[dict[str, Any]] = field(default_factory=list)
    twin: str | None = None
    origin: str | None = None
    copy: int = 0
    micro_batch_limit: int | None = None
    costs: dict[str, float] = field(default_factory=dict)
    violations: dict[str, float] = field(default_factory=dict)
    sampler: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Short name: ``t0007``, in the confirmation ``t0007-s1``."""
        return f"t{self.index:04d}" + (f"-s{self.copy}" if self.copy else "")

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED

    @property
    def was_trained(self) -> bool:
        """Whether a worker has worked, or will work, on it: such trials count as ``trials``."""
        return self.status not in UNTRAINED or self.worker_seconds > 0


@dataclass(frozen=True)
class SweepState:
    """One sweep as the driver knows it; times are Unix seconds.

    Attributes:
        id: Of the sweep, for good; MLflow's runs carry it.
        status: running, finished, interrupted, cancelled or stopped (by its own failures).
        reason: Why it ended: ``all trials``, ``budget: ...``, or what stopped it.
        closed: Why the search takes up no new trial, for good unless it is extended; None if it
            still may.
        started_at: When the first driver began.
        wall_seconds: That drivers have run, all together.
        extra_trials: Added by ``extend`` and ``rerun`` to what the sweep file says.
        confirm: ``top_k`` and ``seeds`` asked for by ``sweeps confirm``; None: as the file says.
        test: Trial -> what was measured on the test split, once.
    """

    id: str
    status: Literal["running", "finished", "interrupted", "cancelled", "stopped"] = "running"
    reason: str | None = None
    closed: str | None = None
    started_at: float = 0.0
    wall_seconds: float = 0.0
    extra_trials: int = 0
    confirm: dict[str, int] | None = None
    test: dict[str, Any] = field(default_factory=dict)
