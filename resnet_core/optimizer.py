"""The optimizer section of a recipe and the torch optimizer it asks for; read without torch.

Two meanings of ``weight_decay`` are on offer. Decoupled (`decoupled_sgdw`, Composer's card) shrinks
the weights by ``weight_decay * lr / initial_lr`` a step. Coupled (`sgd`, torch's) adds it to the
gradient, so that momentum and learning rate multiply it: in the long run the pull of a step is
``weight_decay * lr / (1 - momentum)``.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from resnet_core.strict import OneOf, StrictModel

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

LARGEST_USUAL_PULL = 2e-3
"""Weight decay per step at the peak learning rate. Published coupled recipes stay below: 1e-4 for
torchvision's (0.1 * 1e-4 / 0.1), 5e-4 for the CIFAR ResNets'. The card's 5e-4 taken as coupled is
8.2e-3, sixteen times what was meant."""


class OptimizerSettings(StrictModel):
    """What every optimizer has."""

    learning_rate: float = Field(gt=0, description="Peak, at the reference batch size.")
    weight_decay: float = Field(default=0.0, ge=0)
    decay_norms_and_biases: bool = Field(
        default=True, description="false: no decay of normalisation layers and of any bias."
    )


class SgdConfig(OptimizerSettings):
    """torch's SGD, weight decay coupled to the gradient."""

    momentum: float = Field(default=0.0, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _check_nesterov(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov looks ahead along the momentum, which is 0; set momentum")
        return self


class DecoupledSgdwConfig(SgdConfig):
    """SGD with weight decay decoupled from gradient and momentum (Loshchilov & Hutter 2017)."""


class AdamwConfig(OptimizerSettings):
    """torch's AdamW; the weights shrink by learning rate times weight_decay a step."""

    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)


class OptimizerConfig(OneOf):
    """The optimizer section of a recipe: one of the three."""

    sgd: SgdConfig | None = None
    decoupled_sgdw: DecoupledSgdwConfig | None = None
    adamw: AdamwConfig | None = None

    @property
    def settings(self) -> OptimizerSettings:
        """The chosen optimizer's values."""
        return self.chosen[1]

    def advice(self, peak_learning_rate: float) -> list[str]:
        """What a reader of the recipe should know: empty, or that the decay looks decoupled.

        Args:
            peak_learning_rate: After scaling by batch size.
        """
        if self.sgd is None:
            return []
        sgd = self.sgd
        pull = sgd.weight_decay * peak_learning_rate / (1 - sgd.momentum)
        if pull <= LARGEST_USUAL_PULL:
            return []
        equivalent = sgd.weight_decay * (1 - sgd.momentum) / peak_learning_rate
        return [
            f"optimizer.sgd: weight_decay {sgd.weight_decay:g} at learning rate "
            f"{peak_learning_rate:g} and momentum {sgd.momentum:g} shrinks the weights by "
            f"{pull:.2g} a step. If {sgd.weight_decay:g} is meant decoupled (as on Composer's "
            f"card), write decoupled_sgdw, or sgd with the equivalent weight_decay {equivalent:.3g}"
        ]


def build_optimizer(
    model: "nn.Module", config: OptimizerConfig, peak_learning_rate: float
) -> "Optimizer":
    """Make the torch optimizer over every parameter of the model.

    Args:
        model: On its final device.
        config: The section of the recipe.
        peak_learning_rate: What the schedule's multipliers multiply.
    """
    import torch

    from resnet_core.decoupled_sgdw import DecoupledSGDW

    settings = config.settings
    groups = parameter_groups(
        model, settings.weight_decay, decay_norms_and_biases=settings.decay_norms_and_biases
    )
    # Fused needs each gradient in its weight's memory layout, as autograd leaves it.
    common: dict[str, Any] = {"lr": peak_learning_rate, "fused": True}
    match settings:
        case AdamwConfig():
            betas = (settings.beta1, settings.beta2)
            return torch.optim.AdamW(groups, betas=betas, eps=settings.eps, **common)
        case DecoupledSgdwConfig():
            optimizer_class = DecoupledSGDW
        case _:
            optimizer_class = torch.optim.SGD
    assert isinstance(settings, SgdConfig)
    optimizer = optimizer_class(
        groups, momentum=settings.momentum, nesterov=settings.nesterov, **common
    )
    if settings.momentum:
        # torch leaves the buffers uninitialised if loss scaling skips the very first step, which
        # fused SGD only notices inside its kernel. From zeros, the first step comes out the same.
        for weight in model.parameters():
            optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
    return optimizer


def parameter_groups(
    model: "nn.Module", weight_decay: float, *, decay_norms_and_biases: bool
) -> list[dict[str, Any]]:
    """Every parameter of a model, those that decay first.

    Args:
        model: What is trained.
        weight_decay: Of the first group; 0 in the second one.
        decay_norms_and_biases: False puts the parameters of normalisation layers, told by their
            type, and the biases of all layers in the second group.

    Returns:
        One or two groups as torch's optimizers take them.
    """
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase

    norms = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            spare = isinstance(module, norms) or name == "bias"
            (spared if spare and not decay_norms_and_biases else decayed).append(weight)
    groups = [(decayed, weight_decay), (spared, 0.0)]
    return [{"params": part, "weight_decay": decay} for part, decay in groups if part]


def set_learning_rate(optimizer: "Optimizer", learning_rate: float) -> None:
    """Use this learning rate from the next step on, in every parameter group."""
    groups: Iterable[dict[str, object]] = optimizer.param_groups
    for group in groups:
        group["lr"] = learning_rate
