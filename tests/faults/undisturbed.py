"""A training that nothing disturbs, and the comparison of a resumed one with it, bit by bit."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from resnet_core import Recipe, fit
from resnet_core.checkpoint import load_checkpoint
from resnet_core.manifest import newest_checkpoint, verify_checkpoint
from tests.faults.table import Outcome

CPU = torch.device("cpu")
TIMES = {"images_per_second", "data_wait_share", "elapsed_seconds"}
NUM_EPOCHS, STEPS_PER_EPOCH = 4, 3
RECIPE = Recipe.model_validate(
    {
        "model": {"name": "resnet_20", "num_classes": 4, "initial_stem": "cifar"},
        "optimizer": {"decoupled_sgdw": {"learning_rate": 0.05, "momentum": 0.9}},
        "lr_schedulers": {"linear_warmup": "1ep", "cosine_decay": {"T_max": "3ep"}},
        "train_batch_size": 16,
        "max_duration": f"{NUM_EPOCHS}ep",
        "methods": {"ema": {"half_life": "3ba", "update_interval": "1ba"}},
        "data": {"fake": {"num_train": 48, "num_evaluation": 33, "image_size_px": 8}},
    }
)


@dataclass
class Undisturbed:
    """A training of `RECIPE` to its end, every epoch of it saved."""

    folder: Path
    results: list[dict[str, Any]]

    def copy(self, target: Path, *, until: int = NUM_EPOCHS - 1) -> Path:
        for epoch in range(1, until + 1):
            shutil.copytree(self.folder / f"ep{epoch:04d}", target / f"ep{epoch:04d}")
        return target

    @property
    def states(self) -> dict[str, Any]:
        return load_checkpoint(self.folder / f"ep{NUM_EPOCHS:04d}", CPU)[0]


def go_on(
    folder: Path, undisturbed: Undisturbed, outcome: Outcome, say: Callable[[str], object]
) -> None:
    """Resume in a folder of checkpoints as a worker does; the end must be the undisturbed one."""
    started = time.monotonic()
    newest = newest_checkpoint(folder, say)
    epoch = 0 if newest is None else int(newest.name[2:])
    found = [] if newest is None else [verify_checkpoint(newest).metrics]
    for result in fit(RECIPE, resume_from=newest):
        outcome.seconds = outcome.seconds or time.monotonic() - started
        found.append(result.metrics())
        result.save_checkpoint(folder / f"ep{result.epoch:04d}")
    states, _ = load_checkpoint(folder / f"ep{NUM_EPOCHS:04d}", CPU)
    torch.testing.assert_close(states, undisturbed.states, rtol=0, atol=0)
    expected = undisturbed.results[max(0, epoch - 1) :]
    outcome.points_lost = len(expected) - len(found)
    outcome.steps_repeated = STEPS_PER_EPOCH * (NUM_EPOCHS - 1 - epoch)
    assert [_without_times(one) for one in found] == [_without_times(one) for one in expected]


def _without_times(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name not in TIMES}
