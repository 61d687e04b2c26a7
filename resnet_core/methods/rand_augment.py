"""RandAugment: some random operations of one strength for each image."""

from torchvision.transforms import InterpolationMode, v2

from resnet_core.methods.section import RandAugmentConfig


def rand_augment(config: RandAugmentConfig) -> v2.Transform:
    """torchvision's RandAugment, bilinear: uint8 (3, H, W) to the same.

    Args:
        config: Operations an image, and their strength from 0 to 30.

    Source: Cubuk et al. 2019, arXiv:1909.13719.
    """
    bilinear = InterpolationMode.BILINEAR
    return v2.RandAugment(config.num_ops, config.magnitude, interpolation=bilinear)
