"""Stochastic depth: residual branches left out at random while training."""

import torch
from torch import Tensor

from resnet_core.methods.section import StochasticDepthConfig


def drop_ratios(config: StochasticDepthConfig, num_blocks: int) -> Tensor:
    """Probability that each block's branch is left out, float (num_blocks,).

    linear gives block l of L, counted from 1, ``l / L * drop_ratio``.
    """
    if config.distribution == "uniform":
        return torch.full((num_blocks,), config.drop_ratio)
    return torch.arange(1, num_blocks + 1) / num_blocks * config.drop_ratio


def draw_factors(
    config: StochasticDepthConfig, *, num_blocks: int, num_images: int, generator: torch.Generator
) -> Tensor:
    """What each residual branch is multiplied by: 0, or 1 over the probability that it stays.

    Args:
        config: How much, and whether for the whole batch or image by image.
        num_blocks: Residual blocks of the model.
        num_images: Of the global batch.
        generator: On the CPU; drawn from once.

    Returns:
        Float (num_blocks, num_images); with mode block all columns are equal.

    Source: Huang et al. 2016, arXiv:1603.09382, section 3, with the linear decay of its eq. 4; kept
    branches grow while training instead of shrinking in evaluation.
    """
    stays = (1 - drop_ratios(config, num_blocks))[:, None]
    columns = 1 if config.mode == "block" else num_images
    drawn = torch.rand(num_blocks, columns, generator=generator)
    return ((drawn < stays) / stays).expand(num_blocks, num_images)
