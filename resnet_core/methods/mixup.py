"""Mixup: images and targets blended in pairs."""

import torch
from torch import Tensor

from resnet_core.methods.partners import partners


def mixup(images: Tensor, targets: Tensor, *, weight: float) -> tuple[Tensor, Tensor]:
    """Blend every image and its target with its partner's.

    Args:
        images: Float (N, C, H, W).
        targets: Class probabilities, float (N, K).
        weight: Of the image itself, in [0, 1], drawn from Beta(alpha, alpha); its partner's is
            ``1 - weight``.

    Returns:
        Images (N, C, H, W) and targets (N, K); the inputs are left unchanged.

    Source: Zhang et al. 2017, arXiv:1710.09412, eq. 1, with one weight for the whole batch.
    """
    partner = partners(len(images), images.device)
    return (
        torch.lerp(images[partner], images, weight),
        torch.lerp(targets[partner], targets, weight),
    )
