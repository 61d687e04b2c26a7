"""Random erasing: a box of the image painted over."""

from torch import Tensor
from torchvision.transforms import v2

from resnet_core.methods.section import RandomErasingConfig


def random_erasing(config: RandomErasingConfig, *, mean: Tensor) -> v2.Transform:
    """torchvision's RandomErasing with the mean colour: uint8 (3, H, W) to the same.

    Args:
        config: How often, and how large the box is.
        mean: Colour of the box, float (3, 1, 1), on the scale 0 to 255; it is 0 once normalised.

    Source: Zhong et al. 2017, arXiv:1708.04896.
    """
    colour: list[float] = mean.flatten().round().tolist()
    return v2.RandomErasing(
        p=config.probability,
        scale=(config.min_area_ratio, config.max_area_ratio),
        value=colour,  # pyright: ignore[reportArgumentType] (it takes numbers, not only whole ones)
    )
