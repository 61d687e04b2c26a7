"""What a training loop costs per step above a bare one: `resnet_core.fit` and every peer.

One tiny model, the same batches, one fused SGD; loss and top-1 tracked and logging as each side
does by default, no checkpoints, one thread. Every side has a process of its own, in which a bare
loop takes a step after each of its steps (`loop_worker`); the sides take turns. CPU time counts,
since other processes of the machine change it least; wall time stands beside it.
``make bench-loop``.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from benchmarks.alone import REPOSITORY
from benchmarks.loop_growth import CONTROL, OURS
from benchmarks.loop_page import section
from benchmarks.loop_task import Task
from benchmarks.loop_worker import PACKAGES, SIDES
from benchmarks.results import write_result

ROUNDS, GROWTH_ROUNDS = 7, 3
NUM_IMAGES = (3_000, 30_000, 300_000)
DEPTHS = (1, 4, 12, 36)
GROWING = (CONTROL, OURS, "by hand, on the device", "Lightning Fabric", "Accelerate",
           "Lightning Trainer")  # fmt: skip
"""Trained with deeper models too."""

Answers = dict[str, list[dict[str, Any]]]


class Side:
    """A process that trains with one loop whenever it is asked to."""

    def __init__(self, name: str, process: "subprocess.Popen[str]", log: Any) -> None:
        self._name, self._process, self._log = name, process, log

    def train(self, task: Task) -> dict[str, Any]:
        """Microseconds per step (`Clock.microseconds`), and what the loop has tracked.

        Raises:
            RuntimeError: If the process has failed; with the end of what it said.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(asdict(task)) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"{self._name} failed:\n{self._log.read()[-3000:]}")
        return json.loads(line)


@contextmanager
def side_process(name: str) -> Iterator[Side]:
    """The process of a side; ended at the end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.loop_worker", name],
            cwd=REPOSITORY, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        try:
            yield Side(name, process, log)
        finally:
            process.kill()
            process.communicate()


def take_turns(sides: dict[str, Side], task: Task, rounds: int) -> Answers:
    """So many answers of every side."""
    found: Answers = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(side.train(task))
    return found


def measure(names: list[str], rounds: int, growth_rounds: int, task: Task) -> dict[str, Any]:
    """Every side; then some with deeper models, and ours with more images."""
    with ExitStack() as stack:
        sides = {name: stack.enter_context(side_process(name)) for name in names}
        take_turns(sides, task, 1)  # imports and first calls
        found: dict[str, Any] = {"task": asdict(task), "sides": take_turns(sides, task, rounds)}
        some = Task(task.steps // 2, task.warmup_steps // 2)
        growing = {name: sides[name] for name in GROWING if name in sides}
        found["depths"] = [
            {
                "tensors": len(list(deeper.model().parameters())),
                "sides": take_turns(growing, deeper, growth_rounds),
            }
            for deeper in (replace(some, depth=depth) for depth in DEPTHS)
        ]
        ours = {name: sides[name] for name in (CONTROL, OURS)}
        found["images"] = [
            {
                "images": count,
                "sides": take_turns(ours, replace(some, num_train=count), growth_rounds),
            }
            for count in NUM_IMAGES
        ]
    return found


def _versions(names: list[str]) -> dict[str, str]:
    packages = {PACKAGES[word] for name in names if (word := name.split()[0]) in PACKAGES}
    return {package: version(package) for package in sorted(packages)}


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--growth-rounds", type=int, default=GROWTH_ROUNDS)
    parser.add_argument("--steps", type=int, default=Task.steps, help="of a training")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--into", type=Path, help="folder of the result")
    args = parser.parse_args()
    # The page is about these two, whoever stands beside them.
    names = [name for name in SIDES if name in {OURS, CONTROL, *args.sides}]
    task = Task(steps=args.steps, warmup_steps=args.steps // 6)
    found = measure(names, args.rounds, args.growth_rounds, task)
    result = write_result("loop", found, versions=_versions(names), folder=args.into)
    print(section(result))


if __name__ == "__main__":
    main()
