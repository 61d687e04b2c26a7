"""The methods section of a recipe; needs no torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from resnet_core.duration import Duration, PositiveLength
from resnet_core.strict import StrictModel

Probability = Annotated[float, Field(ge=0, le=1)]


class LabelSmoothingConfig(StrictModel):
    """Targets of 1 - s + s/K for the label and s/K for every other class (Szegedy et al. 2015)."""

    smoothing: float = Field(default=0.1, gt=0, lt=1)


class MixupConfig(StrictModel):
    """Each image blended with another one of the batch (Zhang et al. 2017)."""

    alpha: float = Field(default=0.2, gt=0, description="Of Beta(alpha, alpha); 1 is uniform.")


class CutmixConfig(StrictModel):
    """A box of each image taken from another one of the batch (Yun et al. 2019)."""

    alpha: float = Field(default=1.0, gt=0, description="Of Beta(alpha, alpha); 1 is uniform.")


class EmaConfig(StrictModel):
    """A moving average of the weights, which is then what is evaluated (and shipped)."""

    half_life: PositiveLength = Field(
        default=Duration.parse("100ba"), description="Steps in which old weights halve their share."
    )
    update_interval: PositiveLength = Field(
        default=Duration.parse("20ba"), description="Steps from one update to the next."
    )


class BlurpoolConfig(StrictModel):
    """Low-pass filters before every reduction of resolution (Zhang 2019)."""

    replace_convs: bool = True
    replace_maxpools: bool = True
    blur_first: bool = Field(
        default=True, description="Blur, then the strided convolution; false is the paper's order."
    )
    min_channels: int = Field(default=16, ge=1, description="Convolutions with fewer stay.")


class ProgressiveResizingConfig(StrictModel):
    """Images begin small and grow: a share of the training at each of three stages."""

    initial_scale: float = Field(default=0.5, gt=0, le=1, description="Of each side, at the start.")
    delay_ratio: Probability = Field(default=0.5, description="Share of the training at it.")
    finetune_ratio: Probability = Field(default=0.2, description="Share at full size, at the end.")
    size_increment_px: int = Field(default=4, ge=1, description="Sizes are multiples of this.")

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.delay_ratio + self.finetune_ratio > 1:
            raise ValueError("delay_ratio and finetune_ratio are more than the whole training")
        return self


class ResolutionConfig(StrictModel):
    """Sizes to train and evaluate at: evaluation may be larger (FixRes, Touvron et al. 2019)."""

    train_px: int = Field(ge=4, le=4096)
    evaluation_px: int = Field(ge=4, le=4096)
    crop_ratio: float = Field(
        default=0.875, gt=0, le=1, description="Of the resized image, that evaluation looks at."
    )


class SamConfig(StrictModel):
    """Sharpness-aware minimisation: the gradient uphill of the weights (Foret et al. 2020)."""

    rho: float = Field(default=0.05, gt=0, description="How far uphill: a norm over all weights.")
    interval: int = Field(default=1, ge=1, description="Steps from one such step to the next.")


class StochasticDepthConfig(StrictModel):
    """Residual branches left out at random while training (Huang et al. 2016)."""

    drop_ratio: float = Field(default=0.2, ge=0, lt=1, description="Of the last block.")
    mode: Literal["block", "sample"] = Field(
        default="block", description="block: for the whole batch; sample: for each image."
    )
    distribution: Literal["linear", "uniform"] = Field(
        default="linear",
        description="linear: rising from the input to drop_ratio; uniform: equal.",
    )


class SqueezeExciteConfig(StrictModel):
    """A gate per channel at the end of each residual branch (Hu et al. 2017)."""

    reduction: int = Field(default=16, ge=1, description="Channels over those of the bottleneck.")


class RandomErasingConfig(StrictModel):
    """A random box of the image painted over with the mean colour (Zhong et al. 2017)."""

    probability: Probability = 0.25
    min_area_ratio: float = Field(default=0.02, gt=0, lt=1)
    max_area_ratio: float = Field(default=1 / 3, gt=0, lt=1)

    @model_validator(mode="after")
    def _check_areas(self) -> Self:
        if self.min_area_ratio > self.max_area_ratio:
            raise ValueError("min_area_ratio is above max_area_ratio")
        return self


class TrivialAugmentConfig(StrictModel):
    """One random operation of random strength (Mueller & Hutter 2021), the wide space."""


class RandAugmentConfig(StrictModel):
    """Some random operations of one strength (Cubuk et al. 2019)."""

    num_ops: int = Field(default=2, ge=1, le=14)
    magnitude: int = Field(default=9, ge=0, le=30)


class AugMixConfig(StrictModel):
    """Several augmented chains blended with the image (Hendrycks et al. 2019)."""

    severity: int = Field(default=3, ge=1, le=10)
    width: int = Field(default=3, ge=1, description="Chains.")
    depth: Literal[-1, 1, 2, 3, 4] = Field(
        default=-1, description="Operations a chain; -1: 1 to 3, at random."
    )
    alpha: float = Field(default=1.0, gt=0, description="Of the Dirichlet and Beta weights.")


class ColOutConfig(StrictModel):
    """Random rows and columns of the image left out, which makes it smaller (Composer)."""

    row_ratio: float = Field(default=0.15, ge=0, lt=1)
    column_ratio: float = Field(default=0.15, ge=0, lt=1)


class GradientClippingConfig(StrictModel):
    """A limit on the gradient."""

    threshold: float = Field(gt=0)
    kind: Literal["norm", "value"] = Field(
        default="norm", description="norm: over all weights together; value: of each entry."
    )


class MethodsConfig(StrictModel):
    """The methods section of a recipe; see `resnet_core.methods` for the order they apply in."""

    label_smoothing: LabelSmoothingConfig | None = None
    mixup: MixupConfig | None = None
    cutmix: CutmixConfig | None = Field(
        default=None, description="With mixup, each batch takes one of the two at random."
    )
    ema: EmaConfig | None = None
    blurpool: BlurpoolConfig | None = None
    progressive_resizing: ProgressiveResizingConfig | None = None
    resolution: ResolutionConfig | None = Field(
        default=None, description="null: images of the source's own size; folders: 224."
    )
    sam: SamConfig | None = None
    stochastic_depth: StochasticDepthConfig | None = None
    squeeze_excite: SqueezeExciteConfig | None = None
    random_erasing: RandomErasingConfig | None = None
    trivial_augment: TrivialAugmentConfig | None = None
    rand_augment: RandAugmentConfig | None = None
    aug_mix: AugMixConfig | None = None
    col_out: ColOutConfig | None = None
    gradient_clipping: GradientClippingConfig | None = None
    channels_last: bool = Field(
        default=False, description="Memory layout that convolutions are fastest in."
    )
    zero_init_residual: bool = Field(
        default=False, description="Last gamma of each residual branch begins at 0."
    )

    @model_validator(mode="after")
    def _check_one_policy(self) -> Self:
        policies = ("trivial_augment", "rand_augment", "aug_mix")
        chosen = [name for name in policies if getattr(self, name) is not None]
        if len(chosen) > 1:
            raise ValueError(f"choose one of {', '.join(policies)}, got {' and '.join(chosen)}")
        return self

    @property
    def changes_single_images(self) -> bool:
        """Whether something is drawn per image, which the loader does before batches are made."""
        per_image = (self.random_erasing, self.trivial_augment, self.rand_augment, self.aug_mix)
        return any(method is not None for method in per_image)
