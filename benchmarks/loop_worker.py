"""One side of `benchmarks.loop` in a process of its own, on one thread, asked task by task.

Between any two steps of the side, the same process and thread takes a step of a bare loop. What the
side prints goes to the file that is its stderr.
"""

import json
import os
import sys
import time
import warnings
from typing import Any

import torch

from benchmarks import loop_by_hand, loop_frameworks
from benchmarks.loop_by_hand import BareSteps
from benchmarks.loop_growth import CONTROL
from benchmarks.loop_task import Loop, Task, Training

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
    """Microseconds per step of one training and of the bare one, and what it has tracked."""
    one = Training.of(task, BareSteps(task).take)
    tracked = loop(one)
    return {"yardstick": yardstick(), **one.clock.microseconds(), **tracked}


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
    for line in sys.stdin:
        answers.write(json.dumps(train(loop, Task(**json.loads(line)))) + "\n")


if __name__ == "__main__":
    main()
