"""What a gang's workers run: take a command, train its recipe, report each epoch, take the next.

A worker keeps its process, its process group and the data set in memory between trials; model,
optimizer and random streams are new for each one, so a trial's curve depends on its recipe alone.
"""

import errno
import gc
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
import torch.distributed as dist
from ray.train.torch import get_device
from ray.util import get_current_placement_group

from resnet_core import Recipe, fit
from resnet_core.checkpoint import CorruptCheckpoint, newest_checkpoint, read_manifest
from resnet_core.data.dataset import BadSample
from resnet_core.micro_batch import MicroBatchTooLarge
from resnet_core.problems import CannotTrain
from resnet_core.train import EpochResult, NonFiniteLoss
from sweeps.answer.results import best_epoch
from sweeps.population.mutations import inherited_epoch
from sweeps.spec import ObjectiveConfig
from sweeps.spool import Spool

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class DoesNotSplit(CannotTrain):
    """The batch does not split over the workers: as every one of them finds by itself."""


class StorageFailed(OSError):
    """What a trial keeps cannot be written or read back."""


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
            _train(exchange, gang, command, rank, num_workers, config["objective"])
        except Exception as error:  # told to the exchange; the trial fails alone
            if num_workers > 1 and _lost_a_peer(error):
                raise  # Train starts the workers again, and they go on from the checkpoint
            ray.get(exchange.fail.remote(gang, number, failure(error)))
            all_are_here = num_workers == 1 or isinstance(error, NonFiniteLoss | DoesNotSplit)
            if not all_are_here or isinstance(error, torch.AcceleratorError):
                # The other ranks wait in a collective, or the device's context is lost: Train
                # starts the workers again, and they ask for the next command. A loss that is not
                # finite is one on every rank, and each of them can tell that a batch does not
                # split before it has waited for another.
                raise
        gc.collect()
        gc.freeze()  # what outlives a trial stays: without this each collection takes 0.3 s
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _train(
    exchange: Any,
    gang: str,
    command: dict[str, Any],
    rank: int,
    num_workers: int,
    objective: ObjectiveConfig,
) -> None:
    number, folder = command["number"], Path(command["folder"])
    if rank == 0:
        with _storage():
            command["checkpoint"] = newest_checkpoint(folder / "checkpoints")
        ray.get(exchange.take.remote(gang, command))
    checkpoint: Path | None = command["checkpoint"]
    recipe = Recipe.from_yaml(folder / "recipe.yaml")
    try:
        recipe.share_of_batch(num_workers)
    except CannotTrain as error:
        raise DoesNotSplit(str(error)) from error
    first_step_at: list[float] = []
    spool = Spool(folder)

    def go_on(metrics: dict[str, Any]) -> bool:
        item = {"kind": "epoch", "metrics": metrics} if rank == 0 else None
        epoch, last = metrics["epoch"], metrics["finished"]
        verdict: Any = ray.get(exchange.report.remote(gang, number, epoch, item, last=last))
        return verdict

    origin: dict[str, Any] = {"resume_from": checkpoint}
    if checkpoint is not None:
        with _storage():
            metrics = {**read_manifest(checkpoint).metrics, "first_step_at": None}
            inherited = inherited_epoch(folder)
        if metrics["epoch"] == inherited:  # another trial's, which has reported it
            origin = {"inherit_from": checkpoint}
        else:
            # The workers may have died between the checkpoint and the report: report it (again).
            if rank == 0:
                with _storage():
                    spool.append(metrics)
            if not go_on(metrics):
                return
    results = fit(
        recipe,
        **origin,
        micro_batch_limit=command.get("micro_batch_limit"),
        device=get_device(),
        after_step=lambda _: first_step_at or first_step_at.append(time.time()),
    )
    for result in results:
        metrics = {**result.metrics(), "first_step_at": first_step_at[0]}
        if rank == 0:
            with _storage():
                _keep_checkpoint(result, folder, objective)
                spool.append(metrics)
        if not go_on(metrics):
            break
    results.close()


@contextmanager
def _storage() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"the trial's folder: {error}") from error
    except RuntimeError as error:
        if "inline_container" not in str(error):  # of torch.save, which has no type for a full disk
            raise
        raise StorageFailed(f"the trial's folder: {error}") from error


def _keep_checkpoint(result: EpochResult, trial_folder: Path, objective: ObjectiveConfig) -> None:
    """Save the epoch; of the trial's own earlier ones only the best by the objective stays."""
    folder, inherited = trial_folder / "checkpoints", inherited_epoch(trial_folder)
    newest = folder / f"ep{result.epoch:04d}"
    result.save_checkpoint(newest)
    kept = sorted(path for path in folder.glob("ep*") if path.is_dir())
    own = [path for path in kept if path.name != f"ep{inherited:04d}"]
    best = best_epoch([read_manifest(path).metrics for path in own], objective)
    for path in kept:
        if path not in (folder / f"ep{best:04d}", newest):
            shutil.rmtree(path)


def _lost_a_peer(error: Exception) -> bool:
    """Whether a collective failed because another worker is gone; gloo has no type for it."""
    words = ("gloo", "Connection closed", "Connection reset", "Broken pipe")
    is_gloo = type(error) is RuntimeError and any(word in str(error) for word in words)
    return is_gloo or isinstance(error, dist.DistError)


def failure(error: Exception) -> dict[str, Any]:
    """The item that tells the trainable why a trial has failed.

    ``micro_batch_size`` in it is what ``auto`` had chosen and a step ran out of memory with.
    """
    item: dict[str, Any] = {
        "kind": "failed",
        "reason": reason_of(error),
        "error": traceback.format_exc(),
    }
    if isinstance(error, MicroBatchTooLarge):
        item["micro_batch_size"] = error.micro_batch_size
    return item


def reason_of(error: Exception) -> str:
    """The word for ``trial.reason``: nan, oom, data, storage or error."""
    match error:
        case NonFiniteLoss():
            return "nan"
        case torch.OutOfMemoryError() | MemoryError():
            return "oom"
        case RuntimeError() if "DefaultCPUAllocator" in str(error):  # torch has no type for it
            return "oom"
        case StorageFailed() | CorruptCheckpoint():
            return "storage"
        case OSError() if error.errno in _NO_ROOM:
            return "storage"
        case ConnectionError() | TimeoutError():  # of a worker, not of the data
            return "error"
        case OSError() | BadSample():
            return "data"
        case _:
            return "error"
