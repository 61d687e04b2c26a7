"""CutMix: a box of each image taken from its partner."""

import math

import numpy as np
import torch
from torch import Tensor

from resnet_core.methods.partners import partners


def draw_box(
    height: int, width: int, *, weight: float, rng: np.random.Generator
) -> tuple[slice, slice]:
    """Rows and columns of a box around a random pixel, cut off at the image's edges.

    Args:
        height: Of the image, in pixels.
        width: Likewise.
        weight: In [0, 1]; the box, before it is cut off, has a share of ``1 - weight`` of the area.
        rng: Drawn from twice.
    """
    sides = []
    for length in (height, width):
        side = int(length * math.sqrt(1 - weight))
        begin = int(rng.integers(length)) - side // 2
        sides.append(slice(max(begin, 0), min(begin + side, length)))
    return sides[0], sides[1]


def cutmix(images: Tensor, targets: Tensor, *, box: tuple[slice, slice]) -> tuple[Tensor, Tensor]:
    """Take the box of every image from its partner, and its share of the target likewise.

    Args:
        images: Float (N, C, H, W).
        targets: Class probabilities, float (N, K).
        box: Rows and columns, the same for the whole batch.

    Returns:
        Images (N, C, H, W) and targets (N, K); the inputs are left unchanged.

    Source: Yun et al. 2019, arXiv:1905.04899, section 3.1; targets by the area after cutting off.
    """
    rows, columns = box
    partner = partners(len(images), images.device)
    mixed = images.clone(memory_format=torch.preserve_format)
    mixed[:, :, rows, columns] = images[partner, :, rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    weight = 1 - area / (images.shape[2] * images.shape[3])
    return mixed, torch.lerp(targets[partner], targets, weight)
