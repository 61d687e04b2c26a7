"""Gradient clipping, in place and without waiting for the device."""

from collections.abc import Iterable

from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from resnet_core.methods.section import GradientClippingConfig


def clip_gradients(weights: Iterable[nn.Parameter], config: GradientClippingConfig) -> None:
    """Limit the gradients of these weights.

    Args:
        weights: All that are trained; their gradients keep their memory layout.
        config: norm scales all gradients down together so that their common L2 norm is at most the
            threshold; value limits each entry to [-threshold, threshold].

    Source: Pascanu et al. 2012, arXiv:1211.5063, algorithm 1.
    """
    clip = clip_grad_norm_ if config.kind == "norm" else clip_grad_value_
    clip(weights, config.threshold)
