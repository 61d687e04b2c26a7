"""What a gang's workers run: take a command, train its recipe, report each epoch, take the next.

A worker keeps its process, its process group and the data set in memory between trials; model,
optimizer and random streams are new for each one, so a trial's curve depends on its recipe alone.
"""

import errno
import gc
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
import torch.distributed as dist
from ray.train.torch import get_device
from ray.util import get_current_placement_group

from resnet_core import Recipe, fit
from resnet_core.credentials import without_credentials
from resnet_core.data.dataset import BadSample
from resnet_core.data.loader import lost_a_loader
from resnet_core.manifest import CorruptCheckpoint, read_manifest
from resnet_core.micro_batch import MicroBatchTooLarge
from resnet_core.problems import CannotTrain
from resnet_core.train import NonFiniteLoss
from resnet_core.training import Training
from sweeps.data_file import write_data_file
from sweeps.gang_config import GangConfig
from sweeps.keeper import WITHIN_EPOCH, Keeper, Pace, leave, newest_of
from sweeps.loader_processes import with_loader_processes
from sweeps.mirror import at, publish
from sweeps.population.mutations import inherited_epoch
from sweeps.preemption import Notice, Preempted
from sweeps.spool import Spool
from sweeps.system_metrics import SystemMetrics, system_metrics
from sweeps.watchdog import Watchdog

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class DoesNotSplit(CannotTrain):
    """The batch does not split over the workers: as every one of them finds by itself."""


class StorageFailed(OSError):
    """What a trial keeps cannot be written or read back."""


def serve_in_group(config: dict[str, Any]) -> None:
    """Be one worker of a Ray Train group, whose process group is up; ``config`` as `serve`."""
    context = ray.train.get_context()
    rank, num_workers = context.get_world_rank(), context.get_world_size()
    if rank == 0:
        group: Any = get_current_placement_group()
        ray.get(config["config"].exchange.attach.remote(config["gang"], group))
    if num_workers > 1:
        dist.barrier()  # nobody follows what a rank 0 that has died took
    serve(**config, rank=rank, num_workers=num_workers, device=get_device())


def serve(
    gang: str,
    config: GangConfig,
    *,
    rank: int = 0,
    num_workers: int = 1,
    device: torch.device | None = None,
) -> None:
    """Train trial after trial until the exchange closes the gang.

    Args:
        gang: Its name at the exchange.
        config: What the sweep's gangs have in common.
        rank: Of this worker.
        num_workers: Of the gang.
        device: Where to train; None is the GPU that Ray gave this process, the CPU without one.
    """
    threads = config.resources.torch_threads
    if threads is not None:
        torch.set_num_threads(threads)
    if device is None:
        device = torch.device("cuda" if config.resources.gpus_per_worker > 0 else "cpu")
    pace, system = Pace(config.checkpoint_share), system_metrics(device)
    notice = Notice()
    notice.listen(config.exchange, gang, rank=rank, num_workers=num_workers)
    watchdog = Watchdog(config.resources.hang_seconds)
    worker = _Worker(gang, config, rank, num_workers, device, pace, system, notice, watchdog)
    with closing(watchdog):
        _serve(worker)


def _serve(worker: "_Worker") -> None:
    gang, exchange = worker.gang, worker.config.exchange
    rank, num_workers = worker.rank, worker.num_workers
    number = 0
    while True:
        next_command = exchange.next_command if rank == 0 else exchange.follow
        command: Any = ray.get(next_command.remote(gang, after=number))
        if command is None:
            return
        number = command["number"]
        try:
            worker.train(command)
        except Preempted:  # the trainable goes on elsewhere, and closes this gang
            if rank == 0:
                ray.get(exchange.fail.remote(gang, number, {"kind": "preempted"}))
        except Exception as error:  # told to the exchange; the trial fails alone
            if lost_a_loader(error) or (num_workers > 1 and _lost_a_peer(error)):
                raise  # the workers are started again, and go on from the checkpoint
            ray.get(exchange.fail.remote(gang, number, failure(error)))
            all_are_here = num_workers == 1 or isinstance(error, NonFiniteLoss | DoesNotSplit)
            if not all_are_here or isinstance(error, torch.AcceleratorError):
                # The other ranks wait in a collective, or the device's context is lost: the
                # workers are started again, and ask for the next command. A loss that is not
                # finite is one on every rank, and each of them can tell that a batch does not
                # split before it has waited for another.
                raise
        gc.collect()
        gc.freeze()  # what outlives a trial stays: without this each collection takes 0.3 s
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@dataclass(frozen=True)
class _Worker:
    """One process of a gang."""

    gang: str
    config: GangConfig
    rank: int
    num_workers: int
    device: torch.device
    pace: Pace
    system: SystemMetrics
    notice: Notice
    watchdog: Watchdog

    def train(self, command: dict[str, Any]) -> None:
        """Train one trial to its end, or to the verdict that ends it."""
        with ExitStack() as stack:
            with _storage():
                folder = stack.enter_context(at(command["folder"]))
            stack.enter_context(self.watchdog.watching(folder, self.rank))
            self._train(command, folder)

    def _train(self, command: dict[str, Any], folder: Path) -> None:
        if self.rank == 0:
            with _storage():
                newest = newest_of(folder, self._say)
            command["checkpoint"] = None if newest is None else newest.name
            ray.get(self.config.exchange.take.remote(self.gang, command))
        name: str | None = command["checkpoint"]
        checkpoint = None if name is None else folder / "checkpoints" / name
        recipe = Recipe.from_yaml(folder / "recipe.yaml")
        try:
            recipe.share_of_batch(self.num_workers)
        except CannotTrain as error:
            raise DoesNotSplit(str(error)) from error
        spool = Spool(folder)
        origin: dict[str, Any] = {"resume_from": checkpoint}
        if checkpoint is not None:
            with _storage():
                manifest, inherited = read_manifest(checkpoint), inherited_epoch(folder)
            metrics = {**manifest.metrics, "first_step_at": None, "num_workers": self.num_workers}
            if manifest.epoch > inherited:
                # The workers may have died between the checkpoint and the report: report it
                # (again).
                if self.rank == 0:
                    with _storage():
                        spool.append(metrics)
                        publish(folder)
                if not self._report(command, metrics):
                    return
            elif checkpoint.name != WITHIN_EPOCH:  # another trial's, which has reported it
                origin = {"inherit_from": checkpoint}
        first_step_at: list[float] = []
        keeper = None
        if self.rank == 0:
            keeper = Keeper(
                folder, self.config.objective, self.pace, self._say, lambda: publish(folder)
            )

        def after_step(training: Training) -> None:
            if not first_step_at:
                first_step_at.append(time.time())
            if self.notice.passed(command["number"], training.step):
                with _storage():
                    leave(folder, training, keeper)
                    if self.rank == 0:
                        publish(folder)
                raise Preempted

        results = fit(
            with_loader_processes(recipe, self.config.resources),
            **origin,
            micro_batch_limit=command.get("micro_batch_limit"),
            device=self.device,
            after_step=after_step,
            after_batch=self.watchdog.batch,
        )
        self.system.read()  # from here on it is about this trial
        for result in results:
            metrics = {
                **result.metrics(),
                "first_step_at": next(iter(first_step_at), None),
                "num_workers": self.num_workers,
                "parameters": sum(weight.numel() for weight in result.model.parameters()),
            }
            is_rung = command["rung"] is not None
            if keeper is not None:
                with _storage():
                    if not (is_rung and result.finished):  # nobody goes on from a rung's end
                        at_once = result.finished or self.config.writes_every_epoch
                        keeper.keep(result, at_once=at_once)
                    write_data_file(folder, recipe, self.device)
                    spool.append(metrics | self.system.read())
                    publish(folder)  # what is told to the driver is there
            if not self._report(command, metrics):
                if keeper is not None and not result.finished:
                    with _storage():
                        keeper.write(result)  # a resume goes on from here
                        publish(folder)
                break
        results.close()

    def _say(self, text: str) -> None:
        """Tell the user, on the driver's terminal, something that ends no trial."""
        ray.get(self.config.exchange.note.remote(self.gang, text))

    def _report(self, command: dict[str, Any], metrics: dict[str, Any]) -> bool:
        """Report an epoch; whether to train on."""
        item = {"kind": "epoch", "metrics": metrics} if self.rank == 0 else None
        report = self.config.exchange.report.remote(
            self.gang, command["number"], metrics["epoch"], item, last=metrics["finished"]
        )
        with self.watchdog.paused():
            verdict: Any = ray.get(report)
        return verdict


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
        "error": without_credentials(traceback.format_exc()),
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
