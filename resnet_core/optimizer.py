"""The optimizer section of a recipe and the torch optimizer it asks for; read without torch.

Two meanings of ``weight_decay`` are on offer. Decoupled (`decoupled_sgdw`, Composer's card) shrinks
the weights by ``weight_decay * lr / initial_lr`` a step. Coupled (`sgd`, torch's) adds it to the
gradient, so that momentum and learning rate multiply it: in the long run the pull of a step is
``weight_decay * lr / (1 - momentum)``.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from resnet_core.strict import OneOf, StrictModel

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

LARGEST_USUAL_PULL = 2e-3
"""Weight decay per step at the peak learning rate. Published coupled recipes stay below: 1e-4 for
torchvision's (0.1 * 1e-4 / 0.1), 5e-4 for the CIFAR ResNets'. The card's 5e-4 taken as coupled is
8.2e-3, sixteen times what was meant."""


class SgdConfig(StrictModel):
    """torch's SGD, weight decay coupled to the gradient."""

    learning_rate: float = Field(gt=0, description="Peak, at the reference batch size.")
    momentum: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    nesterov: bool = False


class DecoupledSgdwConfig(SgdConfig):
    """SGD with weight decay decoupled from gradient and momentum (Loshchilov & Hutter 2017)."""


class OptimizerConfig(OneOf):
    """The optimizer section of a recipe: one of the two."""

    sgd: SgdConfig | None = None
    decoupled_sgdw: DecoupledSgdwConfig | None = None

    @property
    def settings(self) -> SgdConfig:
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
    optimizer_class = torch.optim.SGD if config.sgd is not None else DecoupledSGDW
    return optimizer_class(
        model.parameters(),
        lr=peak_learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        # Fused needs each gradient in its weight's memory layout, as autograd leaves it.
        fused=True,
    )


def set_learning_rate(optimizer: "Optimizer", learning_rate: float) -> None:
    """Use this learning rate from the next step on, in every parameter group."""
    groups: Iterable[dict[str, object]] = optimizer.param_groups
    for group in groups:
        group["lr"] = learning_rate
