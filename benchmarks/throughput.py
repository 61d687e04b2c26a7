"""Trials per minute of a sweep against the same trainings in a bare Python loop.

The sweep is ``python -m sweeps run`` as users have it: checkpoints, tracking, the report. Nothing
is stopped early, the trials differ by their seed, so that each is the same work, and no model is
registered. The clock of a side runs from before its process starts to after it has ended. The bare
loop (`bare_loop`) trains the same recipes. Its torch takes the threads that it takes by default;
the sweep's workers have as many altogether: one slot has them all, two slots half each. Sides
alternate, so that a machine that becomes slower does so to all of them.
"""

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.alone import REPOSITORY, run_alone, temporary_home
from resnet_core import Recipe
from sweeps.storage import SweepFolder

TRIALS, REPEATS = 8, 2
RECIPE = REPOSITORY / "configs/recipes/resnet18_digits.yaml"
BARE, SAVING = "bare loop", "bare loop, saving"
SLOTS = {"sweep, 1 slot": 1, "sweep, 2 slots": 2}

Sides = dict[str, list[dict[str, Any]]]


def measure(trials: int, repeats: int, epochs: int | None = None) -> Sides:
    """Every side, so many times.

    Args:
        trials: Of each side, at least 2.
        repeats: Of each side.
        epochs: Of each trial; None trains the whole recipe.

    Returns:
        Side -> for each repeat ``seconds`` (of the whole process), ``training_seconds`` (from the
        first training's beginning, in a sweep its first step, to the last one's end), ``threads``
        (of all workers together) and ``val_accuracy`` (of each trial).
    """
    sides: Sides = {}
    for _ in range(repeats):
        for name, measured in _each_side(trials, epochs):
            sides.setdefault(name, []).append(measured)
    return sides


def per_minute(sides: Sides, name: str, clock: str = "seconds") -> list[float]:
    """Trials per minute of each repeat."""
    return [60 * len(run["val_accuracy"]) / run[clock] for run in sides[name]]


def ratios(sides: Sides) -> dict[str, float]:
    """Trials per minute of each sweep over the bare loop's, medians; the whole process counts."""
    bare = statistics.median(per_minute(sides, BARE))
    return {name: statistics.median(per_minute(sides, name)) / bare for name in SLOTS}


def lines(sides: Sides) -> list[str]:
    """The figures as text."""
    trials, threads = len(sides[BARE][0]["val_accuracy"]), sides[BARE][0]["threads"]
    found = [
        f"trials per minute of {trials} trials of {RECIPE.name}, {threads} threads in all, "
        f"{len(sides[BARE])} times each",
        f"{'':20} {'median':>7} {'min':>7} {'max':>7} {'seconds':>8}  without start and end",
    ]
    for name, runs in sides.items():
        rates = per_minute(sides, name)
        inside = statistics.median(per_minute(sides, name, "training_seconds"))
        seconds = statistics.median(run["seconds"] for run in runs)
        found.append(
            f"{name:20} {statistics.median(rates):7.2f} {min(rates):7.2f} {max(rates):7.2f} "
            f"{seconds:8.1f}  {inside:7.2f}"
        )
    saving = statistics.median(per_minute(sides, SAVING))
    for name, ratio in ratios(sides).items():
        against_saving = statistics.median(per_minute(sides, name)) / saving
        found.append(
            f"{name} / bare loop = {ratio:.2f}; {against_saving:.2f} of the one that saves each "
            "epoch as the sweep does"
        )
    same = {
        name: all(
            ours["val_accuracy"] == bare["val_accuracy"]
            for ours, bare in zip(sides[name], sides[BARE], strict=True)
        )
        for name in SLOTS
    }
    # Two slots sum in another order, each with fewer threads.
    found.append(
        "final accuracies the same as the bare loop's: "
        + ", ".join(f"{name} {'yes' if yes else 'no'}" for name, yes in same.items())
    )
    return found


def _each_side(trials: int, epochs: int | None) -> Iterator[tuple[str, dict[str, Any]]]:
    own_seed = Recipe.from_yaml(RECIPE).seed
    sets = [] if epochs is None else ["--set", f"max_duration={epochs}ep"]
    seeds = [own_seed + number for number in range(trials)]
    for name in (BARE, SAVING):
        with temporary_home() as home:
            options = ["--checkpoints", str(home)] if name == SAVING else []
            ran = run_alone(home, "benchmarks.bare_loop", RECIPE, *map(str, seeds), *options, *sets)
            yield name, {**json.loads(ran.output), "seconds": ran.seconds}
    for name, slots in SLOTS.items():
        with temporary_home() as home:
            threads = max(1, torch.get_num_threads() // slots)
            file = home / "bench.yaml"
            file.write_text(
                "version: 1\nname: bench\n"
                f"extends: {RECIPE}\n"
                f"space: {{seed: {{grid: {seeds[1:]}}}}}\n"  # trial 0 has the recipe's own
                "search: {algorithm: grid}\n"
                "early_stopping: null\n"
                "tracking: {register_winner: false, figures: false}\n"  # the bare loop has neither
                f"resources: {{cpus_per_worker: {threads}, max_concurrent_trials: {slots}}}\n"
            )
            ran = run_alone(home, "sweeps", "run", file, *sets)
            yield name, {**_of_sweep(home, seeds), "threads": threads * slots,
                         "seconds": ran.seconds}  # fmt: skip


def _of_sweep(home: Path, seeds: list[int]) -> dict[str, Any]:
    folder = SweepFolder(home / "results" / "bench")
    records = folder.read_records()
    statuses = [record.status for record in records]
    if statuses != ["completed"] * len(seeds):
        raise RuntimeError(f"the sweep did not complete its {len(seeds)} trials: {statuses}")
    first_step_at = min((r.suggested_at or 0.0) + (r.start_seconds or 0.0) for r in records)
    return {
        "training_seconds": max(record.ended_at or 0.0 for record in records) - first_step_at,
        "start_seconds": [record.start_seconds for record in records],
        "val_accuracy": [folder.history(record)[-1]["val_accuracy"] for record in records],
    }
