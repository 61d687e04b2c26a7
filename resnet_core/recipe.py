"""A recipe: one complete training configuration, read from YAML; needs no torch.

Source of the keys: the ResNet model card of MosaicML Composer, whose block loads as it is.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from resnet_core.core_yaml import write_document
from resnet_core.data.section import FOLDER_SIZE_PX, DataConfig
from resnet_core.dotted_paths import field_paths, get_path
from resnet_core.duration import StepLength, WallClock
from resnet_core.methods.section import MethodsConfig
from resnet_core.models.family import ModelConfig
from resnet_core.optimizer import OptimizerConfig
from resnet_core.problems import CannotTrain
from resnet_core.schedule import SchedulesConfig
from resnet_core.strict import StrictModel
from resnet_core.yaml_source import read_yaml, validate

_CHANGE_NO_RESULT = {"eval_batch_size", "loader_processes", "time_limit"}
"""Of what an epoch brings; how fast it comes, and how many epochs there is time for."""


class Recipe(StrictModel):
    """Everything that decides how a training goes, the number of workers excepted."""

    model: ModelConfig
    optimizer: OptimizerConfig
    lr_schedulers: SchedulesConfig = SchedulesConfig()
    train_batch_size: int = Field(ge=1, description="Global: the sum over all workers.")
    max_duration: StepLength = Field(description="Length of the training, warm-up included.")
    schedule_scale: float = Field(
        default=1.0,
        gt=0,
        description="Multiplies max_duration and every ep and ba of lr_schedulers.",
    )
    time_limit: WallClock | None = Field(
        default=None, description="Training ends after the epoch in which it has taken this long."
    )
    data: DataConfig | None = Field(
        default=None, description="Where the images come from; without it nothing can be trained."
    )
    methods: MethodsConfig = MethodsConfig()
    lr_scaling: Literal["none", "linear", "sqrt"] = Field(
        default="none", description="How the rate follows train_batch_size over the reference."
    )
    lr_reference_batch_size: int | None = Field(
        default=None, ge=1, description="Batch the rate belongs to; null: the recipe's own."
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        default="fp32", description="Of the forward pass; weights stay in fp32."
    )
    tf32: bool = Field(
        default=True, description="Let fp32 convolutions and products of a GPU round to TF32."
    )
    micro_batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] | None = Field(
        default=None,
        description="Images of a worker that are in memory at a time; null: its whole share; "
        "auto: the most that fit. Batch norm sees so many.",
    )
    compile: bool = Field(default=False, description="Train through torch.compile.")
    activation_checkpointing: bool = Field(
        default=False, description="Compute each block again for its gradient: less memory."
    )
    loader_processes: int | None = Field(
        default=None,
        ge=0,
        description="That decode images, per worker; null: one for each CPU it may use.",
    )
    eval_batch_size: int = Field(
        default=512, ge=1, description="Per worker; changes speed and memory only."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="Fixes weights, order, augmentation.")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.max_duration.unit == "dur":
            raise ValueError("max_duration is what dur is a share of; give it in ep or ba")
        if self.max_duration.value == 0:
            raise ValueError("max_duration is 0: nothing would be trained")
        self.model.check_methods(self.methods)
        name, decay = self.lr_schedulers.decay
        floor = getattr(decay, "eta_min", 0.0)
        if floor > self.peak_learning_rate:
            raise ValueError(
                f"lr_schedulers.{name}.eta_min {floor:g} is above the peak learning rate "
                f"{self.peak_learning_rate:g}; it is a rate, not a ratio"
            )
        if self.compile and self.activation_checkpointing:
            raise ValueError(
                "compile and activation_checkpointing do not go together, since a compiled block "
                "cannot be told to leave batch-norm statistics alone the second time; take one"
            )
        if self.data is not None:
            name, num_classes = self.data.chosen[0], self.data.num_classes
            if num_classes is not None and self.model.num_classes != num_classes:
                raise ValueError(
                    f"data.{name} has {num_classes} classes, model.num_classes is "
                    f"{self.model.num_classes}; write num_classes: {num_classes}"
                )
            num_train = self.data.num_train
            if num_train is not None and self.train_batch_size > num_train:
                raise ValueError(
                    f"train_batch_size {self.train_batch_size} is more than the "
                    f"{num_train} training images of data.{name}"
                )
        return self

    @classmethod
    def from_yaml(cls, path: str | Path, sets: Iterable[str] = ()) -> Self:
        """Read a recipe file.

        Args:
            path: The file.
            sets: ``a.b=v`` each: a dotted path and a YAML value that replaces what the file says.

        Raises:
            InvalidFile: With everything that is wrong, each with its place in the file.
        """
        sets = list(sets)
        recipe = validate(cls, read_yaml(path, sets))
        own = read_yaml(path).data.get("train_batch_size")
        if recipe.lr_reference_batch_size is None and own != recipe.train_batch_size and own:
            # The rate is that of the file's batch, not of what ``sets`` made of it.
            return recipe.model_copy(update={"lr_reference_batch_size": int(own)})
        return recipe

    def to_dict(self, *, with_defaults: bool = True) -> dict[str, Any]:
        """Plain data that `Recipe.model_validate` reads back as an equal recipe.

        Args:
            with_defaults: Write out what is at its default too.
        """
        return self.model_dump(mode="json", exclude_defaults=not with_defaults)

    def to_yaml(self) -> str:
        """`to_dict` as text that `from_yaml` reads back as an equal recipe."""
        return write_document(self.to_dict())

    def digest(self) -> str:
        """sha256, in hex: equal for equal recipes, however they were written."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def differences(self, other: Self) -> list[str]:
        """What another recipe has that trains otherwise: ``path: value (here: value)`` each."""
        here, there = (
            {path: _at(recipe.to_dict(), path) for path in field_paths(type(self))}
            for recipe in (self, other)
        )
        leaves = [path for path in here if not any(o.startswith(f"{path}.") for o in here)]
        return [
            f"{path}: {there[path]} (here: {here[path]})"
            for path in leaves
            if here[path] != there[path] and path not in _CHANGE_NO_RESULT
        ]

    @property
    def peak_learning_rate(self) -> float:
        """The optimizer's learning rate after scaling by batch size."""
        rate = self.optimizer.settings.learning_rate
        ratio = self.train_batch_size / (self.lr_reference_batch_size or self.train_batch_size)
        return rate * {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[self.lr_scaling]

    @property
    def image_size_px(self) -> int:
        """Side of the training images at full size."""
        if self.methods.resolution is not None:
            return self.methods.resolution.train_px
        return FOLDER_SIZE_PX if self.data is None else self.data.image_size_px

    @property
    def exact_schedule_scale(self) -> Fraction:
        """``schedule_scale`` as the decimal number that was written."""
        return Fraction(repr(self.schedule_scale))

    def total_steps(self, steps_per_epoch: int) -> int:
        """Optimizer steps of the whole training, at least 1."""
        return max(1, self.max_duration.steps(steps_per_epoch, scale=self.exact_schedule_scale))

    def share_of_batch(self, num_workers: int) -> int:
        """Images of each global batch that one worker trains.

        Raises:
            CannotTrain: If the batch does not split over the workers and their micro-batches;
                names the nearest sizes that do.
        """
        parts, pieces = num_workers, f"{num_workers} worker{'s' if num_workers > 1 else ''}"
        micro = self.micro_batch_size
        mixes = self.methods.mixup is not None or self.methods.cutmix is not None
        if mixes and num_workers > 1:  # or a pair of images would lie on two workers
            parts, pieces = 2 * num_workers, f"{num_workers} workers in pairs, as mixing needs"
        if isinstance(micro, int) and micro < self.train_batch_size / num_workers:
            parts = math.lcm(parts, num_workers * micro)
            pieces = f"{pieces} with micro-batches of {micro}"
        rest = self.train_batch_size % parts
        if rest:
            low = self.train_batch_size - rest
            sizes = f"{low} and {low + parts}" if low else str(parts)
            raise CannotTrain(
                f"train_batch_size {self.train_batch_size} does not split over {pieces}; "
                f"the nearest that does: {sizes}"
            )
        return self.train_batch_size // num_workers

    @property
    def num_loader_processes(self) -> int:
        """Loader processes of one worker: as written, or its part of this machine's CPUs.

        torchrun and Ray Train say in LOCAL_WORLD_SIZE how many workers share the machine.
        """
        if self.loader_processes is not None:
            return self.loader_processes
        try:
            usable = len(os.sched_getaffinity(0))
        except AttributeError:  # not Linux
            usable = os.cpu_count() or 1
        return max(1, usable // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))

    def _ends_of_schedule(self) -> list[str]:
        """Say that a decay does not end with the training, where one can tell without the data."""
        warmup, (name, decay) = self.lr_schedulers.linear_warmup, self.lr_schedulers.decay
        lengths = [warmup, getattr(decay, "T_max", None), self.max_duration]
        lengths = [length for length in lengths if length is not None and length.value]
        if not hasattr(decay, "T_max") or len({length.unit for length in lengths}) > 1:
            return []
        end = sum(length.value for length in lengths[:-1])
        if end == self.max_duration.value:
            return []
        what = (
            "the rate stays at its floor from then on"
            if end < self.max_duration.value
            else "the decay is cut off"
        )
        unit = self.max_duration.unit
        return [
            f"lr_schedulers: warm-up and {name} end at {float(end):g}{unit}, the training at "
            f"{self.max_duration}: {what}; change T_max, or the length by schedule_scale"
        ]

    def advice(self) -> list[str]:
        """What a reader should know: what was scaled, and what is allowed but probably not meant.

        One sentence each.
        """
        rate, peak = self.optimizer.settings.learning_rate, self.peak_learning_rate
        reference = self.lr_reference_batch_size
        said = self.optimizer.advice(peak)
        schedulers = self.lr_schedulers
        if schedulers.one_cycle is not None and schedulers.linear_warmup.value:
            said.append(
                "lr_schedulers: one_cycle has a warm-up of its own, so after linear_warmup the "
                f"rate falls from the peak to 1/{schedulers.one_cycle.div_factor:g} of it and "
                "rises again; leave one of the two out"
            )
        said += self._ends_of_schedule()
        if peak != rate:
            said.append(
                f"learning rate {rate:g} for batches of {reference} is {peak:g} for "
                f"{self.train_batch_size} (lr_scaling: {self.lr_scaling})"
            )
        return said


def _at(data: dict[str, Any], path: str) -> Any:
    try:
        return get_path(data, path)
    except KeyError:  # inside a section that is null
        return None
