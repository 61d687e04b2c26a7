"""The optimizer that a recipe's section `optimizer` describes, for layers made by a test."""

import torch
from torch import nn

from resnet_core.optimizer import OptimizerConfig, build_optimizer


def build(section: dict, layers: nn.Module) -> torch.optim.Optimizer:
    return build_optimizer(layers, OptimizerConfig.model_validate(section), 0.1)
