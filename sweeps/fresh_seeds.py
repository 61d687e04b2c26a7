"""Which trainings confirm a sweep: the best trials and the recipe, with fresh seeds that all share.

A winner of a search is in part the luckiest seed. Trainings with seeds that played no part in
choosing it are free of that, and since recipe and trial share each seed, their differences can be
compared in pairs.
"""

import time
from collections.abc import Iterator
from typing import Any

from sweeps.memory import Memory
from sweeps.record import TrialRecord
from sweeps.space.labels import label
from sweeps.spec import Sweep


def next_confirmation(
    sweep: Sweep, memory: Memory, *, top_k: int, seeds: int
) -> TrialRecord | None:
    """The next training that is missing, seed by seed, so that whole pairs come first.

    Args:
        sweep: The sweep.
        memory: Its trials; the search has ended.
        top_k: Trials to confirm beside the recipe.
        seeds: Trainings of each.

    Returns:
        A record that was not written yet; None when every training was begun.
    """
    for record in _wanted(sweep, memory, top_k=top_k, seeds=seeds):
        if record.id not in memory.confirmations:
            return record
    return None


def _wanted(sweep: Sweep, memory: Memory, *, top_k: int, seeds: int) -> Iterator[TrialRecord]:
    completed = memory.completed
    best = [record for record in completed if record.index > 0][:top_k]
    recipe = [record for record in completed if record.index == 0]
    chosen = recipe + best if recipe and best else []  # one alone is compared with nothing
    used = {r.overrides.get("seed", sweep.recipe.seed) for r in memory.records.values()}
    for copy in range(1, seeds + 1):
        seed = fresh_seed(sweep.spec.search.seed, copy, used)
        for trial in chosen:
            overrides: dict[str, Any] = {**trial.overrides, "seed": seed}
            yield TrialRecord(
                trial.index,
                f"{trial.id}-s{copy} {label(trial.overrides) or 'recipe'} seed={seed}",
                sweep.recipe_for(overrides).digest(),
                overrides,
                copy=copy,
                suggested_at=time.time(),
                micro_batch_limit=trial.micro_batch_limit,
            )


def fresh_seed(search_seed: int, copy: int, used: set[int]) -> int:
    """The seed number ``copy`` (from 1) of a sweep, none of which a trial has been trained with.

    Args:
        search_seed: Of the sweep file; the same one gives the same seeds.
        copy: Counted from 1.
        used: Seeds that must not come again.
    """
    found: list[int] = []
    number = 0
    while len(found) < copy:
        # Multiples of 2**32 over the golden ratio lie far apart (Knuth, TAOCP 3, 6.4).
        number += 1
        seed = (search_seed + number * 2_654_435_769) % 2**32
        if seed not in used:
            found.append(seed)
    return found[-1]
