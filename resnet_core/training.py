"""A training under way: everything that changes from step to step, and how it is saved and resumed.

Random streams are not among it: what is drawn depends on seed and step alone.
"""

import time
from copy import copy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import Optimizer

from resnet_core.checkpoint import load_checkpoint, save_checkpoint
from resnet_core.inheritance import structural_differences
from resnet_core.methods.ema import Ema
from resnet_core.models.factory import ResNetClassifier, build_model
from resnet_core.optimizer import build_optimizer
from resnet_core.precision import loss_scaler
from resnet_core.problems import CannotTrain
from resnet_core.process_group import (
    is_distributed,
    mean_of_each,
    of_each_worker,
    rank_and_num_workers,
    unpack,
)
from resnet_core.random_streams import global_seed
from resnet_core.recipe import Recipe


@dataclass(frozen=True)
class Snapshot:
    """A training at one moment, as a checkpoint holds it; the fields are `save_checkpoint`'s."""

    states: dict[str, Any]
    epoch: int
    step: int
    metrics: dict[str, Any]
    recipe: dict[str, Any]
    elapsed_seconds: float

    def save(self, folder: str | Path) -> None:
        """Write it as a checkpoint.

        Raises:
            OSError: If it cannot be written; nothing half-written stays behind.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        save_checkpoint(Path(folder), **values)


@dataclass
class Training:
    """What `fit` works on, and what a checkpoint holds.

    Attributes:
        recipe: What is trained.
        model: Whose weights are trained.
        optimizer: With its state.
        ema: The average of the weights; None if the recipe has none.
        scaler: Of the loss, for fp16; does nothing otherwise.
        epoch_log: Of the epoch under way, on the device: images that could not be read, then this
            worker's loss of each step; float32 (1 + steps,).
        metrics: Of the last finished epoch, as `EpochResult.metrics` gives them.
        epoch: Finished epochs.
        step: Completed optimizer steps.
        seconds_before: That the training took before this process began.
    """

    recipe: Recipe
    model: ResNetClassifier
    optimizer: Optimizer
    ema: Ema | None
    scaler: torch.amp.GradScaler
    epoch_log: Tensor
    metrics: dict[str, Any]
    epoch: int = 0
    step: int = 0
    seconds_before: float = 0.0

    def __post_init__(self) -> None:
        self._started = time.perf_counter()

    @classmethod
    def begin(
        cls, recipe: Recipe, device: torch.device, *, steps_per_epoch: int, total_steps: int
    ) -> "Training":
        """A training before its first step, with the weights that the recipe's seed gives."""
        with global_seed(recipe.seed):  # of the CPU, where the model is built
            model = build_model(recipe.model, recipe.methods)
        model = model.to(device)
        model.activation_checkpointing = recipe.activation_checkpointing
        ema, config = None, recipe.methods.ema
        if config is not None:
            half_life, interval = (
                max(1, length.steps(steps_per_epoch, total_steps))
                for length in (config.half_life, config.update_interval)
            )
            ema = Ema(model, half_life_steps=half_life, update_interval_steps=interval)
        return cls(
            recipe=recipe,
            model=model,
            optimizer=build_optimizer(model, recipe.optimizer, recipe.peak_learning_rate),
            ema=ema,
            scaler=loss_scaler(recipe.precision, device),
            epoch_log=torch.zeros(1 + steps_per_epoch, device=device),
            metrics={},
        )

    @property
    def elapsed_seconds(self) -> float:
        """Since the beginning of the training, over all its resumptions."""
        return self.seconds_before + time.perf_counter() - self._started

    @property
    def evaluated_model(self) -> ResNetClassifier:
        """The model that is evaluated and meant to be used: the average, if there is one."""
        return self.model if self.ema is None else self.ema.model  # pyright: ignore[reportReturnType]

    def average_running_statistics(self) -> None:
        """Give every worker the mean of all workers' batch-norm statistics, in one reduction."""
        mean_of_each(self._running_statistics())

    def _running_statistics(self) -> list[Tensor]:
        models = [self.model] if self.ema is None else [self.model, self.ema.model]
        return [
            buffer
            for model in models
            for name, buffer in model.named_buffers()
            if "running_" in name
        ]

    def save_checkpoint(self, folder: str | Path) -> None:
        """Save the training as it is now, at any step, so that `fit` can go on from here.

        In a process group every worker calls it, since within an epoch each has statistics of its
        own: they are saved beside their mean, from which another number of workers goes on; rank 0
        writes.

        Raises:
            OSError: If it cannot be written; nothing half-written stays behind.
        """
        content = self._content()
        if not is_distributed() or dist.get_rank() == 0:
            content.save(folder)

    def snapshot(self) -> "Snapshot":
        """What `save_checkpoint` would save now, copied to host memory, to be saved later.

        In a process group every worker calls it, as with `save_checkpoint`.
        """
        content = self._content()
        return replace(content, states=_copied_to_host(content.states))

    def _content(self) -> "Snapshot":
        model, averages = self.model.state_dict(), {}
        if self.ema is not None:
            averages = self.ema.model.state_dict()
        epoch_log, own = self.epoch_log.clone(), None
        if self.step != self.metrics.get("step"):  # within an epoch
            own = of_each_worker([self.epoch_log, *self._running_statistics()])
            kept = [_statistics(state) for state in (model, averages)]
            mean_of_each([epoch_log, *(tensor for part in kept for tensor in part.values())])
            model, averages = model | kept[0], averages | kept[1]
        states = {"model": model, "optimizer": self.optimizer.state_dict()}
        states["progress"] = {"epoch_log": epoch_log}
        if own is not None and len(own) > 1:
            states["workers"] = {"own": own}
        if averages:
            states["ema"] = averages
        if self.scaler.is_enabled():
            states["scaler"] = self.scaler.state_dict()
        return Snapshot(
            states=states,
            epoch=self.epoch,
            step=self.step,
            metrics=self.metrics,
            recipe=self.recipe.to_dict(),
            elapsed_seconds=self.elapsed_seconds,
        )

    def restore(self, folder: Path, *, inherit: bool = False) -> None:
        """Go on from a checkpoint.

        Args:
            folder: The checkpoint.
            inherit: Whether it may be of a recipe with other hyper-parameters; this recipe's hold
                from here on.

        Raises:
            CannotTrain: If it is of another recipe, or cannot be inherited.
            CorruptCheckpoint: If it is not what was saved.
        """
        states, manifest = load_checkpoint(folder, self.epoch_log.device)
        donor = Recipe.model_validate(manifest.recipe)
        if inherit and (different := structural_differences(self.recipe, donor)):
            raise CannotTrain(
                f"{folder} cannot be inherited: only hyper-parameters may differ, and its recipe "
                f"has {'; '.join(different)}"
            )
        if not inherit and (different := self.recipe.differences(donor)):
            raise CannotTrain(
                f"{folder} is a checkpoint of another recipe, which has {'; '.join(different)}"
            )
        self.model.load_state_dict(states["model"])
        settings = [
            {name: value for name, value in group.items() if name != "params"}
            for group in self.optimizer.param_groups
        ]
        self.optimizer.load_state_dict(states["optimizer"])
        if inherit:  # torch took over the donor's rates and decay with its state
            for group, own in zip(self.optimizer.param_groups, settings, strict=True):
                group.update(own)
        self.epoch_log.copy_(states["progress"]["epoch_log"])
        if self.ema is not None:
            self.ema.model.load_state_dict(states["ema"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(states["scaler"])
        rank, num_workers = rank_and_num_workers()
        own = states.get("workers", {"own": ()})["own"]
        if len(own) == num_workers:
            unpack(own[rank], [self.epoch_log, *self._running_statistics()])
        self.metrics, self.epoch, self.step = manifest.metrics, manifest.epoch, manifest.step
        self.seconds_before = manifest.elapsed_seconds


def _statistics(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the batch-norm statistics in a model's state."""
    return {name: value.clone() for name, value in state.items() if "running_" in name}


def _copied_to_host(state: Any) -> Any:
    """The same nest of dicts, lists and plain values with a copy of every tensor on the CPU."""
    match state:
        case Tensor():
            return state.detach().to("cpu", copy=True)
        case dict():
            copied = copy(state)  # with the attributes that torch hangs on a model's state
            copied.update((key, _copied_to_host(value)) for key, value in state.items())
            return copied
        case list():
            return [_copied_to_host(value) for value in state]
        case _:
            return state
