"""AugMix: several chains of operations, blended with the image."""

from torchvision.transforms import InterpolationMode, v2

from resnet_core.methods.section import AugMixConfig


def aug_mix(config: AugMixConfig) -> v2.Transform:
    """torchvision's AugMix, bilinear: uint8 (3, H, W) to the same.

    Args:
        config: Strength, number and length of the chains, and how they are blended.

    Source: Hendrycks et al. 2019, arXiv:1912.02781; without its consistency loss.
    """
    return v2.AugMix(
        severity=config.severity,
        mixture_width=config.width,
        chain_depth=config.depth,
        alpha=config.alpha,
        interpolation=InterpolationMode.BILINEAR,
    )
