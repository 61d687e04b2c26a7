"""What a gang's workers run: take a command, train its recipe, report each epoch, take the next.

A worker keeps its process, its process group and the data set in memory between trials; model,
optimizer and random streams are new for each one, so a trial's curve depends on its recipe alone.
"""

import gc
import shutil
import time
import traceback
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
import torch.distributed as dist
from ray.train.torch import get_device
from ray.util import get_current_placement_group

from resnet_core import Recipe, fit
from resnet_core.checkpoint import newest_checkpoint, read_manifest
from resnet_core.data.dataset import BadSample
from resnet_core.evaluate import evaluate_checkpoint
from resnet_core.train import EpochResult, NonFiniteLoss
from sweeps.results import best_epoch
from sweeps.spec import ObjectiveConfig
from sweeps.spool import Spool


def serve(config: dict[str, Any]) -> None:
    """Train trial after trial until the exchange closes the gang.

    Args:
        config: ``exchange`` (actor handle), ``gang`` (its name there), ``objective`` (decides
            which checkpoints stay), ``threads`` (for torch on the CPU; None leaves torch's choice).
    """
    exchange, gang = config["exchange"], config["gang"]
    context = ray.train.get_context()
    rank, num_workers = context.get_world_rank(), context.get_world_size()
    if config["threads"] is not None:
        torch.set_num_threads(config["threads"])
    if rank == 0:
        ray.get(exchange.attach.remote(gang, get_current_placement_group()))
    if num_workers > 1:
        dist.barrier()  # nobody follows what a rank 0 that has died took

    number = 0
    while True:
        next_command = exchange.next_command if rank == 0 else exchange.follow
        command: Any = ray.get(next_command.remote(gang, after=number))
        if command is None:
            return
        number = command["number"]
        try:
            _train(exchange, gang, command, rank, config["objective"])
        except Exception as error:  # told to the exchange; the trial fails alone
            if num_workers > 1 and _lost_a_peer(error):
                raise  # Train starts the workers again, and they go on from the checkpoint
            item = {"kind": "failed", "reason": reason_of(error), "error": traceback.format_exc()}
            ray.get(exchange.fail.remote(gang, number, item))
            lost_collective = num_workers > 1 and not isinstance(error, NonFiniteLoss)
            if lost_collective or isinstance(error, torch.AcceleratorError):
                # The other ranks wait in a collective, or the device's context is lost: Train
                # starts the workers again, and they ask for the next command. A loss that is not
                # finite is one on every rank, so all of them are here.
                raise
        gc.collect()
        gc.freeze()  # what outlives a trial stays: without this each collection takes 0.3 s
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _train(
    exchange: Any, gang: str, command: dict[str, Any], rank: int, objective: ObjectiveConfig
) -> None:
    number, folder = command["number"], Path(command["folder"])
    checkpoints = folder / "checkpoints"
    if rank == 0:
        command["checkpoint"] = newest_checkpoint(checkpoints)
        ray.get(exchange.take.remote(gang, command))
    checkpoint: Path | None = command["checkpoint"]
    first_step_at: list[float] = []
    spool = Spool(folder)

    def go_on(metrics: dict[str, Any]) -> bool:
        item = {"kind": "epoch", "metrics": metrics} if rank == 0 else None
        epoch, last = metrics["epoch"], metrics["finished"]
        verdict: Any = ray.get(exchange.report.remote(gang, number, epoch, item, last=last))
        return verdict

    if checkpoint is not None:
        # The workers may have died between the checkpoint and the report: report it (again).
        metrics = {**read_manifest(checkpoint).metrics, "first_step_at": None}
        if rank == 0:
            spool.append(metrics)
        if not go_on(metrics):
            return
    results = fit(
        Recipe.from_yaml(folder / "recipe.yaml"),
        resume_from=checkpoint,
        device=get_device(),
        after_step=lambda _: first_step_at or first_step_at.append(time.time()),
    )
    for result in results:
        metrics = {**result.metrics(), "first_step_at": first_step_at[0]}
        if rank == 0:
            _keep_checkpoint(result, checkpoints, objective)
            spool.append(metrics)
        if not go_on(metrics):
            break
    results.close()


def _keep_checkpoint(result: EpochResult, folder: Path, objective: ObjectiveConfig) -> None:
    """Save the epoch; of the earlier ones only the best by the objective stays."""
    newest = folder / f"ep{result.epoch:04d}"
    result.save_checkpoint(newest)
    kept = sorted(path for path in folder.glob("ep*") if path.is_dir())
    best = best_epoch([read_manifest(path).metrics for path in kept], objective)
    for path in kept:
        if path not in (folder / f"ep{best:04d}", newest):
            shutil.rmtree(path)


def _lost_a_peer(error: Exception) -> bool:
    """Whether a collective failed because another worker is gone; gloo has no type for it."""
    words = ("gloo", "Connection closed", "Connection reset", "Broken pipe")
    is_gloo = type(error) is RuntimeError and any(word in str(error) for word in words)
    return is_gloo or isinstance(error, dist.DistError)


def reason_of(error: Exception) -> str:
    """The word for ``trial.reason``: nan, oom, data or error."""
    match error:
        case NonFiniteLoss():
            return "nan"
        case torch.OutOfMemoryError() | MemoryError():
            return "oom"
        case OSError() | BadSample():
            return "data"
        case _:
            return "error"


def test_checkpoints(checkpoints: list[Path], threads: int | None) -> list[dict[str, float]]:
    """Loss and accuracy on the test split of each checkpoint; runs as one Ray task."""
    if threads is not None:
        torch.set_num_threads(threads)
    return [evaluate_checkpoint(checkpoint, "test") for checkpoint in checkpoints]
