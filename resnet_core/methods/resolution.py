"""Resolution: images of the size that is trained on, and of the size that is evaluated on."""

import torch.nn.functional as F
from torch import Tensor

from resnet_core.methods.section import ResolutionConfig


def resize(images: Tensor, size_px: int) -> Tensor:
    """Square images of this side, bilinear and antialiased; the input itself if they are.

    Args:
        images: Float (N, C, H, H).
        size_px: Of each side, in pixels.
    """
    if images.shape[-1] == size_px:
        return images
    size = (size_px, size_px)
    return F.interpolate(images, size, mode="bilinear", antialias=True)


def resize_and_crop(images: Tensor, resolution: ResolutionConfig) -> Tensor:
    """The centre of images that are resized a little larger, as evaluation looks at them.

    Args:
        images: Float (N, C, H, H).
        resolution: Size of the result, and its share of the resized image's side.

    Source: Touvron et al. 2019, arXiv:1906.06423, for evaluating at more than was trained on.
    """
    size = resolution.evaluation_px
    images = resize(images, round(size / resolution.crop_ratio))
    begin = (images.shape[-1] - size) // 2
    return images[:, :, begin : begin + size, begin : begin + size]
