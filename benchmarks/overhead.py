"""What 200 trials cost in a sweep beyond their trainings, on made-up images of CIFAR's size.

The sweep is ``python -m sweeps run`` as users have it, from before its process starts to after it
has ended: Ray's start, searching, checkpoints, tracking, the report. It has a slot of one thread
per CPU. Beside it stand bare loops (`bare_loop`), as many at a time as the sweep has slots, each a
process with one thread: a sample of the same trainings, half of it before the sweep and half
after. What one training takes there, times the trials, divided by the slots, is what the sweep
would take if it cost nothing.
"""

import json
import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.alone import run_alone, temporary_home
from sweeps.storage import SweepFolder

TRIALS, SAMPLE = 200, 10
RECIPE = """\
model: {name: resnet_20, num_classes: 10}
optimizer: {decoupled_sgdw: {learning_rate: 0.1, momentum: 0.9, weight_decay: 5e-4}}
lr_schedulers: {linear_warmup: 1ep, cosine_decay: {T_max: 1ep}}
train_batch_size: 64
max_duration: 2ep
data: {fake: {num_train: 1024, num_evaluation: 128, image_size_px: 32}}
"""


def measure(trials: int, sample: int) -> dict[str, Any]:
    """Run both sides.

    Args:
        trials: Of the sweep.
        sample: Trainings of each bare loop, before the sweep and again after it.

    Returns:
        ``trials``, ``slots``, ``sweep_seconds``, ``bare_seconds`` (of one training, of each loop),
        ``ideal_seconds`` and ``ratio`` of the sweep to that.
    """
    slots = os.cpu_count() or 1
    bare = _bare(slots, sample)
    seconds = _sweep(slots, trials)
    bare += _bare(slots, sample)
    ideal = statistics.mean(bare) * trials / slots
    return {
        "trials": trials,
        "slots": slots,
        "sweep_seconds": seconds,
        "bare_seconds": bare,
        "ideal_seconds": ideal,
        "ratio": seconds / ideal,
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The figures as text."""
    bare = found["bare_seconds"]
    return [
        f"{found['trials']} trials, {found['slots']} at a time: {found['sweep_seconds']:.1f} s",
        f"bare trainings, {found['slots']} at a time: {statistics.mean(bare):.2f} s each "
        f"({min(bare):.2f} to {max(bare):.2f} by loop), so {found['ideal_seconds']:.1f} s in all",
        f"the sweep takes {found['ratio']:.3f} of that",
    ]


def _bare(slots: int, sample: int) -> list[float]:
    with temporary_home() as home:
        recipe = home / "recipe.yaml"
        recipe.write_text(RECIPE)

        def loop(slot: int) -> float:
            own = home / str(slot)
            own.mkdir()
            seeds = [str(slot * sample + number) for number in range(sample)]
            ran = run_alone(own, "benchmarks.bare_loop", recipe, *seeds, "--threads", "1")
            return json.loads(ran.output)["training_seconds"] / sample

        with ThreadPoolExecutor(slots) as pool:
            return list(pool.map(loop, range(slots)))


def _sweep(slots: int, trials: int) -> float:
    with temporary_home() as home:
        (home / "recipe.yaml").write_text(RECIPE)
        file = home / "bench.yaml"
        file.write_text(
            "version: 1\nname: bench\nextends: recipe.yaml\n"
            "space: {optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.01, 1]}}\n"
            f"search: {{algorithm: random, trials: {trials}}}\n"
            "early_stopping: null\n"
            f"resources: {{cpus_per_worker: 1, max_concurrent_trials: {slots}}}\n"
        )
        seconds = run_alone(home, "sweeps", "run", file).seconds
        _check(home, trials)
        return seconds


def _check(home: Path, trials: int) -> None:
    records = SweepFolder(home / "results" / "bench").read_records()
    statuses = {record.status for record in records}
    if len(records) != trials or statuses != {"completed"}:
        raise RuntimeError(f"the sweep did not complete its {trials} trials: {statuses}")
