"""TrivialAugment: one random operation of random strength for each image."""

from torchvision.transforms import InterpolationMode, v2


def trivial_augment() -> v2.Transform:
    """torchvision's TrivialAugmentWide, bilinear: uint8 (3, H, W) to the same.

    Source: Mueller & Hutter 2021, arXiv:2103.10158, the wide space of its table 1.
    """
    return v2.TrivialAugmentWide(interpolation=InterpolationMode.BILINEAR)
