"""What follows from a trial that cannot be trained, by the kind of its failure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from resnet_core import Recipe
from resnet_core.credentials import without_credentials
from sweeps.record import TrialRecord

SAME_FAILURES = 3
"""As many first trials that all fail alike say that it is not the trials' fault."""

OF_THE_MACHINE = ("data", "storage")
"""Reasons that would fail every other trial, too, until somebody puts the machine right."""


@dataclass(frozen=True)
class Consequence:
    """What to do.

    Attributes:
        changes: Of the trial's record.
        again: Whether it is trained once more, from its newest checkpoint.
        stop: Why the whole sweep ends; None if it goes on.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    again: bool = False
    stop: str | None = None


def consequence(record: TrialRecord, recipe: Recipe, failure: dict[str, Any]) -> Consequence:
    """Judge one failure.

    A loss that is not finite and a model that is too large are properties of the point: infeasible.
    With ``micro_batch_size: auto`` the second is tried again with half as many images in memory.
    Data that cannot be read, or a disk that cannot be written, would fail every other trial too;
    data that only this trial has would not.

    Args:
        record: The trial.
        recipe: What it trained.
        failure: ``reason`` and ``error``, and the ``micro_batch_size`` that was in use, if known.
    """
    reason, error = failure["reason"], without_credentials(failure["error"])
    in_use = failure.get("micro_batch_size") or 1
    if reason == "oom" and recipe.micro_batch_size == "auto" and in_use > 1:
        return Consequence({"micro_batch_limit": in_use // 2}, again=True)
    if reason in ("nan", "oom"):
        return Consequence({"status": "infeasible", "reason": reason, "error": error})
    changes = {"status": "failed", "reason": reason, "error": error}
    own_data = any(path.partition(".")[0] == "data" for path in record.overrides)
    if reason in OF_THE_MACHINE and not (reason == "data" and own_data):
        return Consequence(changes, stop=f"{record.id} failed ({reason}): {last_line(error)}")
    return Consequence(changes)


def all_fail_alike(records: Iterable[TrialRecord]) -> str | None:
    """Say so if the first trials, the recipe among them, have all failed in one way; None if not.

    It is asked at each failure, and judges the first ones only: what ended since shows that trials
    can be trained.
    """
    ended = [r for r in records if r.ended_at is not None and r.was_trained]
    first = sorted(ended, key=lambda record: record.ended_at or 0.0)
    if len(first) != SAME_FAILURES or all(record.index > 0 for record in first):
        return None
    kinds = {
        (record.reason, last_line(record.error).partition(":")[0])
        for record in first
        if record.status in ("failed", "infeasible")
    }
    failed = sum(record.status in ("failed", "infeasible") for record in first)
    if failed < SAME_FAILURES or len(kinds) > 1:
        return None
    return f"the first {SAME_FAILURES} trials all failed alike: {last_line(first[0].error)}"


def last_line(error: str | None) -> str:
    """Of a traceback: the exception and what it says."""
    lines = [line for line in (error or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
