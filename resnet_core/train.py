"""The training loop: `fit` trains a recipe and yields one result per epoch.

In a process group of `torch.distributed` it is data-parallel: every worker calls `fit` with the
same recipe, trains its share of each global batch, and gets the same results. Nothing here touches
signals or needs the main thread.
"""

import math
import os
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from resnet_core.data.awaited import AwaitedBatches
from resnet_core.data.loader import TrainLoader
from resnet_core.data.sources import load_data
from resnet_core.evaluate import evaluate_together, named_data
from resnet_core.finite import NonFiniteLoss, check_finite
from resnet_core.micro_batch import MicroBatchTooLarge, largest_that_fits
from resnet_core.models.factory import ResNetClassifier
from resnet_core.optimizer import set_learning_rate
from resnet_core.optimizer_step import OptimizerStep
from resnet_core.precision import tf32
from resnet_core.problems import CannotTrain
from resnet_core.process_group import is_distributed, mean_over_workers, rank_and_num_workers
from resnet_core.recipe import Recipe
from resnet_core.schedule import build_schedule
from resnet_core.train_batch import Preparation
from resnet_core.training import Snapshot, Training

__all__ = ["EpochResult", "NonFiniteLoss", "fit"]


@dataclass(frozen=True)
class EpochResult:
    """What an epoch brought; losses are means over images, accuracies fractions.

    Attributes:
        epoch: Completed epochs, from 1.
        num_epochs: Epochs of the whole training; the last may be a partial one.
        step: Completed optimizer steps.
        finished: Whether this was the last epoch, be it for the recipe's ``time_limit``.
        train_loss: Mean over the epoch's steps, in training mode.
        val_loss: On the validation split, in evaluation mode; with EMA, of the averaged weights.
        val_cross_entropy: Likewise; differs from ``val_loss`` where that is another loss.
        val_accuracy: Likewise.
        val_top5_accuracy: Likewise.
        raw_val_loss: With EMA, of the weights that are trained; otherwise None.
        raw_val_accuracy: Likewise.
        raw_val_top5_accuracy: Likewise.
        learning_rate: Of the epoch's last step.
        images_per_second: Training images over all workers, evaluation not counted.
        data_wait_share: Of this worker's training time in the epoch, what passed waiting for
            batches (see `AwaitedBatches`); evaluation not counted.
        elapsed_seconds: Since the beginning of the training, over all its resumptions.
        skipped_images: Training images that could not be read and were replaced in this epoch.
    """

    epoch: int
    num_epochs: int
    step: int
    finished: bool
    train_loss: float
    val_loss: float
    val_cross_entropy: float
    val_accuracy: float
    val_top5_accuracy: float
    raw_val_loss: float | None
    raw_val_accuracy: float | None
    raw_val_top5_accuracy: float | None
    learning_rate: float
    images_per_second: float
    data_wait_share: float
    elapsed_seconds: float
    skipped_images: int
    _training: Training

    @property
    def model(self) -> ResNetClassifier:
        """The model that was evaluated; `fit` changes it once it is asked for the next epoch."""
        return self._training.evaluated_model

    def metrics(self) -> dict[str, Any]:
        """The values by name, plain numbers; without those that are None."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        del values["_training"]
        return {name: value for name, value in values.items() if value is not None}

    def save_checkpoint(self, folder: str | Path) -> None:
        """Save the training as it is now, before `fit` is asked for the next epoch.

        In a process group every worker may call it; rank 0 writes.

        Raises:
            OSError: If it cannot be written; nothing half-written stays behind.
        """
        self._training.save_checkpoint(folder)

    def snapshot(self) -> Snapshot:
        """A copy in host memory, as large as a checkpoint: one worker may `save` it later."""
        return self._training.snapshot()


def fit(
    recipe: Recipe,
    *,
    resume_from: str | Path | None = None,
    inherit_from: str | Path | None = None,
    micro_batch_limit: int | None = None,
    device: torch.device | str | None = None,
    after_step: Callable[[Training], object] | None = None,
    after_batch: Callable[[], object] | None = None,
) -> Generator[EpochResult]:
    """Train a recipe; leave the loop (or close the generator) to stop early.

    Args:
        recipe: What to train.
        resume_from: A checkpoint of the same recipe, of any step; training goes on after it and, on
            the CPU, ends with the same bits as one that was never interrupted.
        inherit_from: Instead, a checkpoint of a recipe that differs in hyper-parameters only (see
            `inheritance.INHERITABLE`): weights, optimizer state, averages, step and epoch are taken
            over, and from the next step on this recipe's rates, decay and methods hold.
        micro_batch_limit: The most images at a time that ``micro_batch_size: auto`` may take.
        device: Where to train; None takes the current CUDA device if there is one.
        after_step: Called after each optimizer step, for instance to save a checkpoint there; what
            it raises ends the training.
        after_batch: Called after each batch, of training or of evaluation: a sign of life.

    Yields:
        One `EpochResult` per epoch, after its evaluation on the validation split.

    Raises:
        CannotTrain: If the recipe names no data, its batch does not split over the workers, or the
            checkpoint is another recipe's, or (to inherit) of another structure.
        MicroBatchTooLarge: If a step runs out of memory although ``auto`` had found room for it.
        NonFiniteLoss: If a training loss is NaN or infinite; raised at the end of its epoch, so
            that no step waits for the device.
        OSError: If the checkpoint is corrupt (`CorruptCheckpoint`), or data cannot be read.
    """
    if resume_from is not None and inherit_from is not None:
        raise ValueError("a training goes on from one checkpoint: resume_from or inherit_from")
    for text in recipe.advice():
        warnings.warn(text, stacklevel=2)
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    rank, num_workers = rank_and_num_workers()
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if launched > 1 and not is_distributed():
        raise CannotTrain(
            f"{launched} workers were launched, but they share no process group and would train "
            "copies; call torch.distributed.init_process_group() before fit, and on GPUs "
            'torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))'
        )
    share = recipe.share_of_batch(num_workers)
    data_config = named_data(recipe)
    data = load_data(data_config, recipe.model.num_classes, device)
    if recipe.train_batch_size > len(data.train):
        raise CannotTrain(
            f"train_batch_size {recipe.train_batch_size} is more than the {len(data.train)} "
            f"training images of data.{data_config.chosen[0]}"
        )
    loader = TrainLoader(
        data,
        batch_size=recipe.train_batch_size,
        seed=recipe.seed,
        rank=rank,
        num_workers=num_workers,
        settings=data_config.chosen[1],
        methods=recipe.methods,
        train_px=recipe.image_size_px,
        num_processes=recipe.num_loader_processes,
    )
    steps_per_epoch = loader.steps_per_epoch
    total_steps = recipe.total_steps(steps_per_epoch)
    num_epochs = math.ceil(total_steps / steps_per_epoch)
    peak = recipe.peak_learning_rate
    multiplier = build_schedule(
        recipe.lr_schedulers,
        peak_learning_rate=peak,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        scale=recipe.exact_schedule_scale,
    )

    def learning_rate(step: int) -> float:
        return peak * multiplier(step)

    training = Training.begin(
        recipe, device, steps_per_epoch=steps_per_epoch, total_steps=total_steps
    )
    if checkpoint := resume_from or inherit_from:
        training.restore(Path(checkpoint), inherit=inherit_from is not None)
    micro_batch_size = recipe.micro_batch_size or share
    if micro_batch_size == "auto":
        micro_batch_size = largest_that_fits(training, share, limit=micro_batch_limit)
    step = OptimizerStep(training, micro_batch_size)
    prepare = Preparation(recipe, data, total_steps=total_steps)
    # One view for each step: making them takes longer than writing to them.
    losses_of_epoch = training.epoch_log[1:].unbind()
    # A checkpoint at an epoch's end holds that epoch's losses.
    at_boundary = training.step == training.epoch * steps_per_epoch
    last_loss = float(training.epoch_log[-1]) if training.step and at_boundary else None
    awaited = AwaitedBatches(loader.batches(training.step, total_steps))
    with tf32(allowed=recipe.tf32), closing(awaited) as batches:
        limit = recipe.time_limit
        out_of_time = limit is not None and training.seconds_before >= limit.seconds
        while training.epoch < num_epochs and not out_of_time:
            training.model.train()
            epoch_started, first_step = time.perf_counter(), training.step
            # Of a checkpoint after an epoch's last step, only the epoch's evaluation is left.
            epoch_begin = training.epoch * steps_per_epoch
            epoch_end = min(epoch_begin + steps_per_epoch, total_steps)
            if first_step == epoch_begin:
                training.epoch_log.zero_()
            bad: list[str] = []
            batches.seconds = 0.0
            for batch in islice(batches, epoch_end - first_step):
                set_learning_rate(training.optimizer, learning_rate(training.step))
                images, targets = prepare(batch, training.step)
                try:
                    loss = step.take(images, targets)
                except torch.OutOfMemoryError as error:
                    if recipe.micro_batch_size != "auto":
                        raise
                    raise MicroBatchTooLarge(micro_batch_size) from error
                # Written on the device, which is not waited for.
                losses_of_epoch[training.step - 1 - epoch_begin].copy_(loss)
                if batch.bad:
                    training.epoch_log[0] += len(batch.bad)
                    bad += batch.bad
                if after_step is not None:
                    after_step(training)
                if after_batch is not None:
                    after_batch()

            # One reduction, and the epoch's first wait for the device.
            mean_over_workers(training.epoch_log)
            num_bad, *losses = training.epoch_log[: 1 + epoch_end - epoch_begin].tolist()
            train_seconds = time.perf_counter() - epoch_started
            check_finite([last_loss, *losses], epoch_begin, learning_rate)
            last_loss = losses[-1]
            if bad:
                warnings.warn(_about_bad_images(bad), stacklevel=2)
            training.average_running_statistics()
            models = [training.evaluated_model, training.model][: 1 if training.ema is None else 2]
            validation, *others = evaluate_together(
                recipe, models, data, "validation", after_batch=after_batch
            )
            raw = others[0] if others else {}
            num_images = (training.step - first_step) * recipe.train_batch_size
            elapsed = training.elapsed_seconds
            if limit is not None:  # no two workers' clocks agree
                elapsed = mean_over_workers(torch.tensor(elapsed, device=device)).item()
            out_of_time = limit is not None and elapsed >= limit.seconds
            training.epoch += 1
            result = EpochResult(
                epoch=training.epoch,
                num_epochs=num_epochs,
                step=training.step,
                finished=training.step == total_steps or out_of_time,
                train_loss=math.fsum(losses) / len(losses),
                val_loss=validation["loss"],
                val_cross_entropy=validation["cross_entropy"],
                val_accuracy=validation["accuracy"],
                val_top5_accuracy=validation["top5_accuracy"],
                raw_val_loss=raw.get("loss"),
                raw_val_accuracy=raw.get("accuracy"),
                raw_val_top5_accuracy=raw.get("top5_accuracy"),
                learning_rate=learning_rate(training.step - 1),
                images_per_second=num_images / train_seconds,
                data_wait_share=batches.seconds / train_seconds,
                elapsed_seconds=elapsed,
                skipped_images=round(num_bad * num_workers),
                _training=training,
            )
            training.metrics = result.metrics()
            yield result


def _about_bad_images(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"images that could not be read were replaced: {', '.join(names[:5])}{more}"
