"""Seconds to a compiled training's first step: cold, from torch's cache on disk, in one process.

Two processes train the same four trials, which differ in their learning rate, one after another, as
a gang does. The first process finds an empty cache on disk, the second what the first has left.
Prints one JSON object on the last line.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch

from benchmarks.alone import run_alone, temporary_home
from benchmarks.machine import describe_machine, machine_line
from resnet_core import Recipe, fit

_CACHE = "TORCHINDUCTOR_CACHE_DIR"
_RATES = (0.1, 0.2, 0.3, 0.05)
_RECIPE = """\
model: {name: resnet_20, num_classes: 10}
optimizer: {decoupled_sgdw: {learning_rate: 0.1, momentum: 0.9, weight_decay: 5e-4}}
lr_schedulers: {cosine_decay: {T_max: 1ep}}
train_batch_size: 32
max_duration: 1ep
compile: true
data: {fake: {num_train: 64, num_evaluation: 32, image_size_px: 32}}
"""


def main() -> None:
    """Measure, or, with ``--train``, be one of the processes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--train", type=Path, metavar="RECIPE", help="used by the benchmark itself")
    args = parser.parse_args()
    if args.train is not None:
        print(json.dumps([_first_step_seconds(args.train, rate) for rate in _RATES]))
        return
    machine = describe_machine()
    print(machine_line(machine), flush=True)
    with temporary_home() as home:
        recipe = home / "recipe.yaml"
        recipe.write_text(_RECIPE)
        os.environ[_CACHE] = str(home / "cache")
        cold, cached = (
            json.loads(run_alone(home, "benchmarks.compiled", "--train", recipe).output)
            for _ in range(2)
        )
    print(f"first trial, nothing on disk:     {cold[0]:7.2f} s to the end of its first step")
    print(f"first trial of another process:   {cached[0]:7.2f} s")
    print(f"next trials of the same process:  {max(cold[1:] + cached[1:]):7.2f} s at most")
    print(json.dumps({"machine": machine, "cold": cold, "cached": cached}))


def _first_step_seconds(file: Path, rate: float) -> float:
    torch.set_num_threads(1)
    recipe = Recipe.from_yaml(file, [f"optimizer.decoupled_sgdw.learning_rate={rate}"])
    started, ended = time.perf_counter(), []
    for _ in fit(recipe, after_step=lambda _: ended.append(time.perf_counter())):
        pass
    return ended[0] - started


if __name__ == "__main__":
    main()
