"""ResNet image classifiers: recipe, model, data and training loop; no Ray, no MLflow.

    from resnet_core import Recipe, create_resnet, fit

The names load on first use, so reading a recipe does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet_core.models.factory import ResNetClassifier, create_resnet
    from resnet_core.problems import CannotTrain
    from resnet_core.recipe import Recipe
    from resnet_core.recipe_summary import Summary, summary
    from resnet_core.train import EpochResult, NonFiniteLoss, fit

__all__ = [
    "CannotTrain", "EpochResult", "NonFiniteLoss", "Recipe", "ResNetClassifier", "Summary",
    "create_resnet", "fit", "summary",
]  # fmt: skip

_HOME = {
    "CannotTrain": "resnet_core.problems",
    "EpochResult": "resnet_core.train",
    "NonFiniteLoss": "resnet_core.train",
    "Recipe": "resnet_core.recipe",
    "ResNetClassifier": "resnet_core.models.factory",
    "Summary": "resnet_core.recipe_summary",
    "create_resnet": "resnet_core.models.factory",
    "fit": "resnet_core.train",
    "summary": "resnet_core.recipe_summary",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
