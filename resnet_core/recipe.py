"""A recipe: one complete training configuration, read from YAML; needs no torch.

Source of the keys: the ResNet model card of MosaicML Composer, whose block loads as it is.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from resnet_core.core_yaml import write_document
from resnet_core.data.sources import DataConfig
from resnet_core.duration import Duration
from resnet_core.models.family import ModelConfig
from resnet_core.optimizer import OptimizerConfig
from resnet_core.schedule import SchedulesConfig
from resnet_core.strict import StrictModel
from resnet_core.yaml_source import read_yaml, validate


class CannotTrain(ValueError):
    """A possible recipe that cannot be trained so: no data, a wrong number of workers, or a
    checkpoint of another recipe."""


class Recipe(StrictModel):
    """Everything that decides how a training goes, the number of workers excepted."""

    model: ModelConfig
    optimizer: OptimizerConfig
    lr_schedulers: SchedulesConfig = SchedulesConfig()
    train_batch_size: int = Field(ge=1, description="Global: the sum over all workers.")
    max_duration: Duration = Field(description="Length of the training, warm-up included.")
    data: DataConfig | None = Field(
        default=None, description="Where the images come from; without it nothing can be trained."
    )
    lr_scaling: Literal["none", "linear", "sqrt"] = Field(
        default="none", description="How the rate follows train_batch_size over the reference."
    )
    lr_reference_batch_size: int | None = Field(
        default=None, ge=1, description="Batch the rate belongs to; null: the recipe's own."
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="Of the forward pass; weights stay in fp32."
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
        if self.data is not None:
            name, num_classes = self.data.chosen[0], self.data.num_classes
            if num_classes is not None and self.model.num_classes != num_classes:
                raise ValueError(
                    f"data.{name} has {num_classes} classes, model.num_classes is "
                    f"{self.model.num_classes}; write num_classes: {num_classes}"
                )
            if self.train_batch_size > self.data.num_train:
                raise ValueError(
                    f"train_batch_size {self.train_batch_size} is more than the "
                    f"{self.data.num_train} training images of data.{name}"
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
        return validate(cls, read_yaml(path, sets))

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

    @property
    def peak_learning_rate(self) -> float:
        """The optimizer's learning rate after scaling by batch size."""
        rate = self.optimizer.settings.learning_rate
        ratio = self.train_batch_size / (self.lr_reference_batch_size or self.train_batch_size)
        return rate * {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[self.lr_scaling]

    def advice(self) -> list[str]:
        """What is allowed but probably not meant, one sentence each."""
        return self.optimizer.advice(self.peak_learning_rate)
