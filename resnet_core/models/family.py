"""The members of the ResNet family and the model section of a recipe; needs no torch."""

from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from resnet_core.methods.section import MethodsConfig
from resnet_core.models.pretrained_names import (
    WEIGHTS,
    WEIGHTS_NAMES,
    architecture_of,
    is_file_name,
    variants_of,
)
from resnet_core.problems import did_you_mean
from resnet_core.strict import StrictModel

ModelName = Literal[
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
    "resnet_9", "resnet_20", "resnet_32", "resnet_44", "resnet_56", "resnet_110",
]  # fmt: skip
InitializerName = Literal[
    "kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform",
    "bn_uniform", "bn_ones", "linear_log_constant_bias",
]  # fmt: skip
LossName = Literal["soft_cross_entropy", "binary_cross_entropy_with_logits"]
Stem = Literal["imagenet", "cifar"]

DEFAULT_WIDTH_PER_GROUP = 64
_FIRST_STAGE_WIDTH = 64


@dataclass(frozen=True)
class Member:
    """One member of the family.

    Attributes:
        depth: Layers with weights on the way from the image to the logits.
        block: ``basic`` (two 3x3 convolutions) or ``bottleneck`` (1x1, 3x3, 1x1).
        blocks_per_stage: Number of residual blocks in each stage.
        num_parameters: With ``num_classes`` classes and the member's own stem.
        giga_multiply_adds: Of the forward pass of one image of ``image_size_px``, in 10^9; twice
            as many FLOPs.
        top1_accuracy: Published accuracies by what they are of, in [0, 1].
        kind: ``imagenet`` (torchvision's four stages) or ``cifar`` (three, for 32x32 pixels).

    Source: structure He et al. 2015, arXiv:1512.03385, table 1 and section 4.2. The other figures
    of the imagenet kind: torchvision's weights tables. Of the cifar kind: accuracy he_2015 from
    table 6 there (shortcuts without parameters, the best of 5 runs for 110 layers), composer from
    the CIFAR ResNet model card of MosaicML Composer; the counts are arithmetic, as the tests do it.
    """

    depth: int
    block: Literal["basic", "bottleneck"]
    blocks_per_stage: tuple[int, ...]
    num_parameters: int
    giga_multiply_adds: float
    top1_accuracy: dict[str, float]
    kind: Literal["imagenet", "cifar"] = "imagenet"

    @property
    def num_classes(self) -> int:
        """Classes of the data set that the figures are of: 1000 or 10."""
        return 1000 if self.kind == "imagenet" else 10

    @property
    def image_size_px(self) -> int:
        """Height and width of the images that the figures are of, in pixels."""
        return 224 if self.kind == "imagenet" else 32


FAMILY: dict[ModelName, Member] = {
    "resnet18": Member(18, "basic", (2, 2, 2, 2), 11_689_512, 1.814, WEIGHTS["resnet18"]),
    "resnet34": Member(34, "basic", (3, 4, 6, 3), 21_797_672, 3.664, WEIGHTS["resnet34"]),
    "resnet50": Member(50, "bottleneck", (3, 4, 6, 3), 25_557_032, 4.089, WEIGHTS["resnet50"]),
    "resnet101": Member(101, "bottleneck", (3, 4, 23, 3), 44_549_160, 7.801, WEIGHTS["resnet101"]),
    "resnet152": Member(152, "bottleneck", (3, 8, 36, 3), 60_192_808, 11.514, WEIGHTS["resnet152"]),
    "resnet_9": Member(9, "basic", (1, 0, 1), 2_440_266, 0.2849, {}, "cifar"),
    "resnet_20": Member(20, "basic", (3, 3, 3), 272_474, 0.0408, {"he_2015": 0.9125}, "cifar"),
    "resnet_32": Member(32, "basic", (5, 5, 5), 466_906, 0.0691, {"he_2015": 0.9249}, "cifar"),
    "resnet_44": Member(44, "basic", (7, 7, 7), 661_338, 0.0974, {"he_2015": 0.9283}, "cifar"),
    "resnet_56": Member(
        56, "basic", (9, 9, 9), 855_770, 0.1257, {"he_2015": 0.9303, "composer": 0.931}, "cifar"
    ),
    "resnet_110": Member(
        110, "basic", (18, 18, 18), 1_730_714, 0.2531, {"he_2015": 0.9357}, "cifar"
    ),
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
    pretrained: bool | str = Field(
        default=False,
        description="Weights to begin with: true (torchvision's default), imagenet1k_v1, "
        "imagenet1k_v2, or a local file (a path with / or ending in .pt or .pth). With another "
        "number of classes the head is new.",
    )
    groups: int = Field(
        default=1, ge=1, description="Groups of the 3x3 convolutions (ResNeXt); a divisor of 64."
    )
    width_per_group: int = Field(
        default=DEFAULT_WIDTH_PER_GROUP, ge=1, description="First stage's channels per group."
    )
    initializers: tuple[InitializerName, ...] = Field(
        default=(), description="Applied in order; empty leaves torchvision's own."
    )
    loss_name: LossName = "soft_cross_entropy"
    initial_stem: Stem = Field(
        default="imagenet",
        description="cifar: 3x3 convolution of stride 1 and no max-pool, for small images. The "
        "members resnet_9 to resnet_110 have that stem whichever of the two stands here.",
    )

    @field_validator("pretrained", mode="before")
    @classmethod
    def _check_pretrained_is_known(cls, value: object) -> object:
        if not isinstance(value, bool | str):
            raise ValueError(f"must be true, false, a weights name or a file, got {value!r}")
        if isinstance(value, str) and not is_file_name(value) and value not in WEIGHTS_NAMES:
            raise ValueError(
                f"unknown weights {value!r}; allowed: true, false, {', '.join(WEIGHTS_NAMES)} or "
                "a file (a path with / or ending in .pt or .pth)"
                f"{did_you_mean(value.lower(), WEIGHTS_NAMES)}"
            )
        return value

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
            fitting = [other for other, member in FAMILY.items() if member.block != "basic"]
            raise ValueError(
                f"{name} has basic blocks, which take {info.field_name} {standard} only, "
                f"got {value}; members with bottleneck blocks: {', '.join(fitting)}"
            )
        return value

    @field_validator("groups")
    @classmethod
    def _check_groups_divide(cls, value: int) -> int:
        if _FIRST_STAGE_WIDTH % value:
            fitting = [n for n in range(1, _FIRST_STAGE_WIDTH + 1) if _FIRST_STAGE_WIDTH % n == 0]
            below = max(n for n in fitting if n < value)
            above = [n for n in fitting if n > value][:1]
            nearest = " and ".join(map(str, [below, *above]))
            raise ValueError(
                f"groups must divide the stages' widths 64, 128, 256 and 512, got {value}; "
                f"the nearest that do: {nearest}"
            )
        return value

    @model_validator(mode="after")
    def _check_pretrained(self) -> Self:
        if self.pretrained is False:
            return self
        if self.initializers:
            raise ValueError(
                "initializers would overwrite the pretrained weights; take one of the two"
            )
        if self.pretrained_file is None:
            self._check_published()
        return self

    def _check_published(self) -> None:
        way_out = "bring a local file, or write pretrained: false"
        if get_member(self.name).kind == "cifar":
            raise ValueError(f"there are no published weights for {self.name}; {way_out}")
        if self.initial_stem != "imagenet":
            raise ValueError(
                "published weights are those of the ImageNet stem, got initial_stem: "
                f"{self.initial_stem}; leave initial_stem at imagenet, {way_out}"
            )
        if self._architecture is None:
            there = " or ".join(f"{groups} and {width}" for groups, width in variants_of(self.name))
            raise ValueError(
                f"there are no published weights for {self.name} with groups {self.groups} and "
                f"width_per_group {self.width_per_group}, but for {there}; or {way_out}"
            )
        there = WEIGHTS[self._architecture]
        if self.pretrained is not True and self.pretrained not in there:
            raise ValueError(
                f"there are no weights {self.pretrained} for {self._architecture}; "
                f"published are: {', '.join(there)}"
            )

    def check_methods(self, methods: MethodsConfig) -> None:
        """Refuse methods that do not go with pretrained weights.

        Raises:
            ValueError: With the way out.
        """
        if self.pretrained is not False and methods.zero_init_residual:
            raise ValueError(
                "zero_init_residual would overwrite pretrained weights; take one of the two"
            )
        if self.published_weights is not None and methods.squeeze_excite is not None:
            raise ValueError(
                "published weights have no squeeze-excite; leave methods.squeeze_excite out, write "
                "pretrained: false, or bring a local file of a model that has it"
            )

    @property
    def _architecture(self) -> str | None:
        return architecture_of(self.name, self.groups, self.width_per_group)

    @property
    def pretrained_file(self) -> str | None:
        """The local file to begin with, or None."""
        is_file = isinstance(self.pretrained, str) and is_file_name(self.pretrained)
        return str(self.pretrained) if is_file else None

    @property
    def published_weights(self) -> tuple[str, str] | None:
        """Torchvision's architecture and the weights name to begin with, or None."""
        architecture = self._architecture
        if self.pretrained is False or self.pretrained_file is not None or architecture is None:
            return None
        name = self.pretrained
        return architecture, name if isinstance(name, str) else list(WEIGHTS[architecture])[-1]
