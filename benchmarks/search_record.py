"""Records the learning curves that `benchmarks.search` replays.

Each configuration is trained with `resnet_core.fit` for the whole schedule, with its validation
accuracy noted after every epoch (what a truncated schedule shows), and for complete schedules of
1, 3 and 9 epochs, all with seed 0. Eight are trained whole with four more seeds, and with
``--repeat`` every recorded one with two more, which tells how far a score is luck. A line per
training goes to ``benchmarks/search/TASK.jsonl``; trainings that have one are not repeated, so
``python -m benchmarks.search_record`` can be stopped and started again. It uses one thread, so that
the numbers come out the same.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.search_tasks import NUM_EPOCHS, TASKS, build_recipe, draw_overrides, load_task
from resnet_core import NonFiniteLoss, fit

FOLDER = Path(__file__).parent / "search"
RUNGS = (1, 3, 9)
CONFIGURATIONS_OF_MANY_SEEDS = range(0, 32, 4)
MORE_SEEDS = (1, 2, 3, 4)

Key = tuple[int, int, int]
"""Configuration, seed, epochs of the complete schedule."""


def wanted(num_configurations: int) -> Iterator[Key]:
    """The trainings of a task, in such an order that half of them serve for a first look."""
    for first, last, seeds in ((0, 32, MORE_SEEDS[:2]), (32, num_configurations, MORE_SEEDS[2:])):
        for configuration in range(first, min(last, num_configurations)):
            for num_epochs in (NUM_EPOCHS, *RUNGS):
                yield configuration, 0, num_epochs
        for seed in seeds:
            for configuration in CONFIGURATIONS_OF_MANY_SEEDS:
                yield configuration, seed, NUM_EPOCHS


def train(configuration: int, seed: int, num_epochs: int) -> dict[str, object]:
    """One training: its line of the record."""
    started, curve = time.perf_counter(), []
    try:
        for result in fit(build_recipe(configuration, num_epochs=num_epochs, seed=seed)):
            curve.append(round(result.val_accuracy, 4))
    except NonFiniteLoss:
        pass  # the curve is shorter than num_epochs, which says so
    line: dict[str, object] = {
        "configuration": configuration,
        "seed": seed,
        "num_epochs": num_epochs,
        "val_accuracy": curve,
        "seconds": round(time.perf_counter() - started, 2),
    }
    if seed == 0 and num_epochs == NUM_EPOCHS:
        line["overrides"] = draw_overrides(configuration)
    return line


def main() -> None:
    """Train what is not recorded yet, the tasks taking turns."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--configurations", type=int, default=64, help="of each task")
    parser.add_argument(
        "--repeat",
        nargs="+",
        choices=TASKS,
        metavar="TASK",
        help="instead, train what is recorded of these tasks, one after the other, whole with two "
        "more seeds",
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    data = {task: load_task(task) for task in TASKS}
    lines = {task: _recorded(FOLDER / f"{task}.jsonl") for task in TASKS}
    keys = (
        _repeats(lines, args.repeat)
        if args.repeat
        else ((task, key) for key in wanted(args.configurations) for task in TASKS)
    )
    for task, key in keys:
        if key not in lines[task]:
            with patch("resnet_core.train.load_data", return_value=data[task]):
                line = train(*key)
            with (FOLDER / f"{task}.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")


def _repeats(
    lines: dict[str, dict[Key, list[float]]], tasks: Sequence[str]
) -> Iterator[tuple[str, Key]]:
    """What gives each configuration of a task that is recorded in full three scores."""
    for task in tasks:
        for configuration in sorted({key[0] for key in lines[task]}):
            if all((configuration, 0, length) in lines[task] for length in (*RUNGS, NUM_EPOCHS)):
                for seed in MORE_SEEDS[:2]:
                    yield task, (configuration, seed, NUM_EPOCHS)


def _recorded(path: Path) -> dict[Key, list[float]]:
    """Curves by key."""
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {
        (line["configuration"], line["seed"], line["num_epochs"]): line["val_accuracy"]
        for line in lines
    }


if __name__ == "__main__":
    main()
