"""One side of `benchmarks.loop` in a process of its own, on one thread, asked task by task.

Every answer holds a bare loop too, trained right before or after in the same process: where a
process lies in memory alone makes steps some percent faster or slower. What the side prints goes to
the file that is its stderr.
"""

import json
import os
import sys
import time
import warnings
from typing import Any

import torch

from benchmarks import loop_by_hand, loop_frameworks
from benchmarks.loop_task import Loop, Task, Training

CONTROL = "bare, again"
"""What it seems to cost above bare is this run's noise."""
SIDES: dict[str, Loop] = {
    CONTROL: loop_by_hand.bare,
    "fit": loop_by_hand.ours,
    "fit, training top-1": loop_by_hand.ours_top1,
    "by hand, on the device": loop_by_hand.by_hand,
    "timm's script": loop_by_hand.timm_script,
    "timm's script, top-1": loop_by_hand.timm_script_top1,
    "torchvision's reference": loop_by_hand.torchvision_reference,
    "Lightning Fabric": loop_frameworks.fabric,
    "Ignite": loop_frameworks.ignite,
    "Accelerate": loop_frameworks.accelerate,
    "Hugging Face Trainer": loop_frameworks.hugging_face,
    "Lightning Trainer": loop_frameworks.lightning_trainer,
    "Lightning Trainer, silent": loop_frameworks.lightning_silent,
}
PACKAGES = {
    "timm's": "timm", "torchvision's": "torchvision", "Lightning": "lightning",
    "Ignite": "pytorch-ignite", "Accelerate": "accelerate", "Hugging": "transformers",
}  # fmt: skip
"""The package of a side, by the first word of its name."""


def train(loop: Loop, task: Task) -> dict[str, Any]:
    """Microseconds per step of one training, and what it has tracked."""
    one = Training.of(task)
    tracked = loop(one)
    return {**one.clock.microseconds(), **tracked}


def yardstick() -> float:
    """CPU microseconds of adding 1 to a tensor of eight: how fast the machine is just now."""
    tensor, repeats = torch.ones(8), 5000
    before = time.process_time()
    for _ in range(repeats):
        tensor + 1  # pyright: ignore[reportUnusedExpression]
    return (time.process_time() - before) / repeats * 1e6


def main() -> None:
    """Answer each line of stdin, a task as JSON, with one line of JSON."""
    loop = SIDES[sys.argv[1]]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for number, line in enumerate(sys.stdin):
        task = Task(**json.loads(line))
        order = [("bare", loop_by_hand.bare), ("side", loop)]
        found: dict[str, Any] = {"yardstick": yardstick()}
        for name, each in order[:: -1 if number % 2 else 1]:
            found[name] = train(each, task)
        answers.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
