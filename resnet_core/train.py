"""The training loop: `fit` trains a recipe and yields one result per epoch.

In a process group of `torch.distributed` it is data-parallel: every worker calls `fit` with the
same recipe, trains its share of each global batch, and gets the same results. Nothing here touches
signals or needs the main thread.
"""

import inspect
import math
import time
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from resnet_core.checkpoint import load_checkpoint, save_checkpoint
from resnet_core.data.loader import TrainLoader
from resnet_core.data.sources import load_data
from resnet_core.evaluate import autocast, evaluate, is_distributed, named_data
from resnet_core.models.factory import ResNetClassifier, build_model
from resnet_core.optimizer import build_optimizer, set_learning_rate
from resnet_core.recipe import CannotTrain, Recipe
from resnet_core.schedule import build_schedule

# torch 2.15 gives DDP's switch a new name and warns of the old one.
_NO_BUFFER_SYNC: dict[str, Any] = {
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers": False
}


class NonFiniteLoss(ArithmeticError):
    """The training loss became NaN or infinite; the same recipe does so every time.

    Attributes:
        step: The optimizer step, from 0, whose loss it was.
        learning_rate: At that step.
        last_finite_loss: Of the step before it, None if there was none in that epoch.
    """

    def __init__(self, step: int, learning_rate: float, last_finite_loss: float | None) -> None:
        before = (
            "" if last_finite_loss is None else f"; the loss before it was {last_finite_loss:g}"
        )
        super().__init__(
            f"the loss of step {step} is not finite (learning rate {learning_rate:g}){before}"
        )
        self.step = step
        self.learning_rate = learning_rate
        self.last_finite_loss = last_finite_loss


@dataclass(frozen=True)
class EpochResult:
    """What an epoch brought; losses are means over images, accuracies fractions.

    Attributes:
        epoch: Completed epochs, from 1.
        num_epochs: Epochs of the whole training; the last may be a partial one.
        step: Completed optimizer steps.
        train_loss: Mean over the epoch's steps, in training mode.
        val_loss: On the validation split, in evaluation mode.
        val_accuracy: Likewise.
        val_top5_accuracy: Likewise.
        learning_rate: Of the epoch's last step.
        images_per_second: Training images over all workers, evaluation not counted.
        elapsed_seconds: Since the beginning of the training, over all its resumptions.
    """

    epoch: int
    num_epochs: int
    step: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    val_top5_accuracy: float
    learning_rate: float
    images_per_second: float
    elapsed_seconds: float
    _training: "_Training"

    @property
    def finished(self) -> bool:
        """Whether this was the last epoch."""
        return self.epoch == self.num_epochs

    @property
    def model(self) -> ResNetClassifier:
        """The model as it is now; `fit` changes it once it is asked for the next epoch."""
        return self._training.model

    def metrics(self) -> dict[str, Any]:
        """The values by name, plain numbers."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        del values["_training"]
        return {**values, "finished": self.finished}

    def save_checkpoint(self, folder: str | Path) -> None:
        """Save the training as it is now, before `fit` is asked for the next epoch.

        In a process group every worker may call it; rank 0 writes.

        Raises:
            OSError: If it cannot be written; nothing half-written stays behind.
        """
        if is_distributed() and dist.get_rank() != 0:
            return
        save_checkpoint(
            Path(folder),
            model=self._training.model.state_dict(),
            optimizer=self._training.optimizer.state_dict(),
            epoch=self.epoch,
            step=self.step,
            metrics=self.metrics(),
            recipe=self._training.recipe.to_dict(),
        )


@dataclass(frozen=True)
class _Training:
    recipe: Recipe
    model: ResNetClassifier
    optimizer: Optimizer


def fit(
    recipe: Recipe,
    *,
    resume_from: str | Path | None = None,
    device: torch.device | str | None = None,
    on_first_step: Callable[[], None] | None = None,
) -> Generator[EpochResult]:
    """Train a recipe; leave the loop (or close the generator) to stop early.

    Args:
        recipe: What to train.
        resume_from: A checkpoint of the same recipe; training goes on after it and, on the CPU,
            ends with the same bits as one that was never interrupted.
        device: Where to train; None takes the current CUDA device if there is one.
        on_first_step: Called once, after the first optimizer step of this call.

    Yields:
        One `EpochResult` per epoch, after its evaluation on the validation split.

    Raises:
        CannotTrain: If the recipe names no data, its batch does not split over the workers, or the
            checkpoint is another recipe's.
        NonFiniteLoss: If a training loss is NaN or infinite; raised at the end of its epoch, so
            that no step waits for the device.
        OSError: If the checkpoint is corrupt (`CorruptCheckpoint`).
    """
    for text in recipe.advice():
        warnings.warn(text, stacklevel=2)
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    rank, num_workers = (dist.get_rank(), dist.get_world_size()) if is_distributed() else (0, 1)
    _check_batch(recipe.train_batch_size, num_workers)
    data_config = named_data(recipe)
    data = load_data(data_config, recipe.model.num_classes, device)
    loader = TrainLoader(
        data,
        batch_size=recipe.train_batch_size,
        max_shift_px=data_config.settings.max_shift_px,
        seed=recipe.seed,
        rank=rank,
        num_workers=num_workers,
    )
    steps_per_epoch = loader.steps_per_epoch
    total_steps = max(1, recipe.max_duration.steps(steps_per_epoch))
    num_epochs = math.ceil(total_steps / steps_per_epoch)
    peak_learning_rate = recipe.peak_learning_rate
    multiplier = build_schedule(
        recipe.lr_schedulers,
        peak_learning_rate=peak_learning_rate,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)  # of the CPU, where the model is built
        model = build_model(recipe.model)
    model = model.to(device).to(memory_format=torch.channels_last)
    optimizer = build_optimizer(model, recipe.optimizer, peak_learning_rate)
    step, elapsed_before = 0, 0.0
    if resume_from is not None:
        step, elapsed_before = _restore(Path(resume_from), recipe, model, optimizer, device)
    # Running statistics are averaged once per epoch instead of broadcast at each step.
    network = DistributedDataParallel(model, **_NO_BUFFER_SYNC) if is_distributed() else model
    training = _Training(recipe, model, optimizer)

    started = time.perf_counter()
    while step < total_steps:
        model.train()
        epoch = step // steps_per_epoch + 1
        end_step = min(epoch * steps_per_epoch, total_steps)
        losses = torch.zeros(end_step - step, device=device)
        first_step, epoch_started = step, time.perf_counter()
        for images, labels in loader.batches(first_step, end_step):
            set_learning_rate(optimizer, peak_learning_rate * multiplier(step))
            with autocast(recipe, device):
                logits = network(images)
            loss = model.loss(logits.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses[step - first_step] = loss.detach()
            step += 1
            if on_first_step is not None:
                on_first_step()
                on_first_step = None

        step_losses = _mean_over_workers(losses).tolist()  # the epoch's first wait for the device
        train_seconds = time.perf_counter() - epoch_started
        _check_finite(step_losses, first_step, lambda at: peak_learning_rate * multiplier(at))
        _average_running_statistics(model)
        validation = evaluate(recipe, model, data, "validation")
        yield EpochResult(
            epoch=epoch,
            num_epochs=num_epochs,
            step=step,
            train_loss=math.fsum(step_losses) / len(step_losses),
            val_loss=validation["loss"],
            val_accuracy=validation["accuracy"],
            val_top5_accuracy=validation["top5_accuracy"],
            learning_rate=peak_learning_rate * multiplier(step - 1),
            images_per_second=len(step_losses) * recipe.train_batch_size / train_seconds,
            elapsed_seconds=elapsed_before + time.perf_counter() - started,
            _training=training,
        )


def _check_batch(batch_size: int, num_workers: int) -> None:
    if batch_size % num_workers != 0:
        low = batch_size - batch_size % num_workers
        sizes = f"{low} and {low + num_workers}" if low else str(num_workers)
        raise CannotTrain(
            f"train_batch_size {batch_size} does not split over {num_workers} workers; "
            f"the nearest that does: {sizes}"
        )


def _restore(
    folder: Path, recipe: Recipe, model: nn.Module, optimizer: Optimizer, device: torch.device
) -> tuple[int, float]:
    """Load the states in place; returns completed steps and seconds spent so far."""
    model_state, optimizer_state, manifest = load_checkpoint(folder, device)
    if Recipe.model_validate(manifest.recipe) != recipe:
        raise CannotTrain(f"{folder} is a checkpoint of another recipe")
    model.load_state_dict(model_state)
    optimizer.load_state_dict(optimizer_state)
    return manifest.step, float(manifest.metrics["elapsed_seconds"])


def _check_finite(
    step_losses: list[float], first_step: int, learning_rate: Callable[[int], float]
) -> None:
    for index, loss in enumerate(step_losses):
        if not math.isfinite(loss):
            before = step_losses[index - 1] if index else None
            raise NonFiniteLoss(first_step + index, learning_rate(first_step + index), before)


def _mean_over_workers(values: Tensor) -> Tensor:
    if is_distributed():
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return values


def _average_running_statistics(model: nn.Module) -> None:
    """Give every worker the mean of all workers' batch-norm statistics, in one reduction."""
    buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    if is_distributed() and buffers:
        flat = _mean_over_workers(torch.cat([buffer.flatten() for buffer in buffers]))
        parts = flat.split([buffer.numel() for buffer in buffers])
        for buffer, part in zip(buffers, parts, strict=True):
            buffer.copy_(part.view_as(buffer))
