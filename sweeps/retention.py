"""Which ended trials keep their checkpoints: with ``storage.keep_best`` those that may be wanted.

Within a trial newest and best stay (`keeper.py`); here whole trials are let go. What runs, waits or
has failed keeps its checkpoints, as it may go on; so do confirmations, which are tested.
"""

import math
import time

from sweeps.answer.pareto import pareto_front
from sweeps.memory import Memory
from sweeps.mirror import try_to_remove
from sweeps.population.config import Pb2Config, PbtConfig
from sweeps.record import TrialRecord
from sweeps.sections import Mode
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder

_SETTLED_SECONDS = 60.0


def prune(sweep: Sweep, folder: SweepFolder, memory: Memory, *, is_over: bool) -> None:
    """Remove the checkpoints of trials that have ended and are not among the best.

    The recipe and the Pareto set keep theirs, and so do as many as are confirmed, since one of them
    is what the sweep recommends.

    Args:
        sweep: Says how many of the best keep theirs; null removes none.
        folder: Its folder.
        memory: Its trials, as they are now.
        is_over: Whether nothing is trained any more. Before that a population loses nothing: its
            members take one another's weights over.
    """
    if sweep.spec.storage.keep_best is None:
        return
    stopping = sweep.spec.early_stopping
    is_population = stopping is not None and isinstance(stopping.rule, PbtConfig | Pb2Config)
    if is_population and not is_over:
        return
    kept = _wanted(sweep, folder, memory)
    for record in memory.records.values():
        if record.index not in kept and _has_settled(record, is_over=is_over):
            # What cannot be removed now is tried again when the next trial ends.
            try_to_remove(folder.trial_folder(record) / "checkpoints")


def _has_settled(record: TrialRecord, *, is_over: bool) -> bool:
    """Whether nobody writes the trial's checkpoints any more."""
    if record.status != "stopped_early":
        return record.status == "completed"
    # Its worker writes the last epoch once it hears that it is the last.
    return is_over or time.time() - (record.ended_at or math.inf) > _SETTLED_SECONDS


def _wanted(sweep: Sweep, folder: SweepFolder, memory: Memory) -> set[int]:
    best = memory.completed
    asked = folder.read_state().confirm
    confirmed = [asked["top_k"]] if asked else []
    if sweep.spec.confirm is not None:
        confirmed.append(sweep.spec.confirm.top_k)
    count = max(sweep.spec.storage.keep_best or 0, *confirmed, 0)
    ranked = [record.index for record in best if record.index > 0]
    # Whoever was confirmed may be what is recommended, however many single seeds look better since.
    tried_again = {record.index for record in memory.confirmations.values()}
    return {0, *ranked[:count], *tried_again, *_pareto(sweep, memory, best)}


def _pareto(sweep: Sweep, memory: Memory, completed: list[TrialRecord]) -> set[int]:
    objective = sweep.spec.objective
    able = [r for r in completed if all(cost in r.costs for cost in objective.against)]
    if not objective.against or not able:
        return set()
    directions: list[Mode] = [objective.mode, *["min" for _ in objective.against]]
    points = [[memory.last_value(r), *(r.costs[c] for c in objective.against)] for r in able]
    return {able[index].index for index in pareto_front(points, directions)}
