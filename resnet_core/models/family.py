"""The members of the ResNet family and the model section of a recipe; needs no torch.

Source: He et al. 2015, arXiv:1512.03385, table 1. Parameter counts are those of the models that
torchvision builds for 1000 classes, as its documentation lists them.
"""

from dataclasses import dataclass
from typing import Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from resnet_core.problems import did_you_mean
from resnet_core.strict import StrictModel

ModelName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
InitializerName = Literal[
    "kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform",
    "bn_uniform", "bn_ones", "linear_log_constant_bias",
]  # fmt: skip
LossName = Literal["soft_cross_entropy", "binary_cross_entropy_with_logits"]
Stem = Literal["imagenet", "cifar"]

DEFAULT_WIDTH_PER_GROUP = 64


@dataclass(frozen=True)
class Member:
    """One member of the family.

    Attributes:
        block: ``basic`` (two 3x3 convolutions) or ``bottleneck`` (1x1, 3x3, 1x1).
        blocks_per_stage: Number of blocks in each of the four stages.
        num_parameters: With 1000 classes and the ImageNet stem.
    """

    block: Literal["basic", "bottleneck"]
    blocks_per_stage: tuple[int, int, int, int]
    num_parameters: int


FAMILY: dict[ModelName, Member] = {
    "resnet18": Member("basic", (2, 2, 2, 2), 11_689_512),
    "resnet34": Member("basic", (3, 4, 6, 3), 21_797_672),
    "resnet50": Member("bottleneck", (3, 4, 6, 3), 25_557_032),
    "resnet101": Member("bottleneck", (3, 4, 23, 3), 44_549_160),
    "resnet152": Member("bottleneck", (3, 8, 36, 3), 60_192_808),
}


def get_member(model_name: str) -> Member:
    """The facts about a member.

    Raises:
        ValueError: If there is no such member; names the nearest one.
    """
    if model_name not in FAMILY:
        hint = did_you_mean(str(model_name), FAMILY)
        raise ValueError(f"unknown model {model_name!r}; members: {', '.join(FAMILY)}{hint}")
    return FAMILY[model_name]


class ModelConfig(StrictModel):
    """The model section of a recipe: the arguments of `create_resnet`."""

    name: ModelName
    num_classes: int = Field(default=1000, ge=2)
    pretrained: bool = Field(
        default=False, description="Begin with torchvision's ImageNet weights; the head stays new."
    )
    groups: int = Field(default=1, ge=1, description="Groups of the 3x3 convolutions (ResNeXt).")
    width_per_group: int = Field(
        default=DEFAULT_WIDTH_PER_GROUP, ge=1, description="First stage's channels per group."
    )
    initializers: tuple[InitializerName, ...] = Field(
        default=(), description="Applied in order; empty leaves torchvision's own."
    )
    loss_name: LossName = "soft_cross_entropy"
    initial_stem: Stem = Field(
        default="imagenet",
        description="cifar: 3x3 convolution of stride 1 and no max-pool, for small images.",
    )

    @field_validator("initializers", mode="before")
    @classmethod
    def _none_is_empty(cls, value: object) -> object:
        return () if value is None else value

    @field_validator("groups", "width_per_group")
    @classmethod
    def _check_block(cls, value: int, info: ValidationInfo) -> int:
        name = info.data.get("name")  # absent if the name itself is wrong
        standard = cls.model_fields[info.field_name or ""].default
        if name is not None and FAMILY[name].block == "basic" and value != standard:
            fitting = [other for other in get_args(ModelName) if FAMILY[other].block != "basic"]
            raise ValueError(
                f"{name} has basic blocks, which take {info.field_name} {standard} only, "
                f"got {value}; members with bottleneck blocks: {', '.join(fitting)}"
            )
        return value

    @model_validator(mode="after")
    def _check_pretrained(self) -> Self:
        if not self.pretrained:
            return self
        standard = self.groups == 1 and self.width_per_group == DEFAULT_WIDTH_PER_GROUP
        if not standard or self.initial_stem != "imagenet":
            raise ValueError(
                "pretrained weights are those of the standard members: leave groups, "
                "width_per_group and initial_stem at their defaults, or pretrained: false"
            )
        if self.initializers:
            raise ValueError(
                "initializers would overwrite the pretrained weights; take one of the two"
            )
        return self
