"""What each of two workers does in the tests of distributed training; run as a process each."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from resnet_core import NonFiniteLoss, fit
from resnet_core.data.sources import load_data
from resnet_core.evaluate import evaluate, evaluate_checkpoint_by_image
from resnet_core.training import Training
from tests.core.tiny_recipe import full_recipe, plain_recipe, tiny_recipe

TIMES = {"images_per_second", "data_wait_share", "elapsed_seconds"}


def work(rank: int, folder: Path) -> None:
    """Train together with the other one and leave what came of it in ``rank<n>.pt``."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'meeting'}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    try:
        found = {
            **_plain_epoch(),
            **_whole_training(folder),
            **_every_method(folder, rank),
            **_refusals(),
        }
    finally:
        dist.destroy_process_group()
    torch.save(found, folder / f"rank{rank}.pt")


def _plain_epoch() -> dict[str, Any]:
    recipe = plain_recipe()
    (result,) = fit(recipe)
    assert recipe.data is not None
    data = load_data(recipe.data, recipe.model.num_classes, torch.device("cpu"))
    metrics = result.model.metrics()
    metrics.update(torch.eye(4), torch.arange(4))
    return {
        "epoch": result.metrics(),
        "state": _copy(result.model),
        "validation": evaluate(recipe, result.model, data, "validation"),
        "asked twice": [metrics.compute(), metrics.compute()],
    }


def _whole_training(folder: Path) -> dict[str, Any]:
    results = []
    last = None
    for last in fit(tiny_recipe()):
        last.save_checkpoint(folder / "latest")  # by both, as in the README
        results.append(last.metrics())
    assert last is not None
    for result in results:
        for name in TIMES:
            del result[name]
    dist.barrier()  # rank 0 wrote it
    _, correct = evaluate_checkpoint_by_image(folder / "latest", "test", "cpu")
    return {"results": results, "final state": _copy(last.model), "correct": correct}


def _every_method(folder: Path, rank: int) -> dict[str, Any]:
    """The first epoch of every method at once, and all of it resumed from within that epoch."""

    def keep(training: Training) -> None:
        if training.step == 2:
            training.save_checkpoint(folder / "step2")

    results = list(fit(full_recipe(micro_batch_size=None), after_step=keep))
    dist.barrier()  # rank 0 wrote it
    resumed = list(fit(full_recipe(micro_batch_size=None), resume_from=folder / "step2"))
    return {
        "every method": _copy(results[-1]._training.model),
        "every method resumed": _copy(resumed[-1]._training.model),
        "losses": [result.train_loss for result in results],
        "losses resumed": [result.train_loss for result in resumed],
    }


def _refusals() -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        next(fit(tiny_recipe(train_batch_size=15)))
    except ValueError as error:
        found["odd batch"] = str(error)
    mad = {"sgd": {"learning_rate": 1e30}}
    try:
        next(fit(tiny_recipe(optimizer=mad, lr_schedulers={})))
    except NonFiniteLoss as error:
        found["not finite"] = (error.step, error.last_finite_loss)
    return found


def _copy(model: nn.Module) -> dict[str, Any]:
    return {name: value.clone() for name, value in model.state_dict().items()}
