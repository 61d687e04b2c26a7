"""What is done to one image at a time, in the loader processes.

The random numbers of an image follow from a seed of its own, so it does not matter which process
loads it, or what that one loaded before.
"""

from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from resnet_core.methods.section import (
    AugMixConfig,
    MethodsConfig,
    RandAugmentConfig,
    ResolutionConfig,
    TrivialAugmentConfig,
)
from resnet_core.random_streams import global_seed


class TrainTransform:
    """Random crop and flip, then at most one policy, then random erasing.

    Args:
        methods: Which policy, and whether to erase.
        mean: Colour of what is erased, float (3, 1, 1), on the scale 0 to 255.
        crop_px: Side of the random crop, of 8% to 100% of the area; None leaves size and sides
            alone, for images in memory, which are augmented in batches.

    Source: torchvision's transforms, with its defaults but for bilinear interpolation.
    """

    def __init__(self, methods: MethodsConfig, *, mean: Tensor, crop_px: int | None) -> None:
        self._steps: list[v2.Transform] = []
        if crop_px is not None:
            crop = v2.RandomResizedCrop(crop_px, antialias=True)
            self._steps += [crop, v2.RandomHorizontalFlip()]
        policy = methods.trivial_augment or methods.rand_augment or methods.aug_mix
        if policy is not None:
            self._steps.append(_policy(policy))
        erasing = methods.random_erasing
        if erasing is not None:
            self._steps.append(
                v2.RandomErasing(
                    p=erasing.probability,
                    scale=(erasing.min_area_ratio, erasing.max_area_ratio),
                    value=mean.flatten().round().tolist(),  # pyright: ignore[reportArgumentType]
                )
            )

    def __call__(self, image: Image.Image | Tensor, seed: int) -> Tensor:
        """Augment an image; the global random numbers of torch are left alone.

        Args:
            image: RGB, or uint8 (3, H, W).
            seed: In [0, 2**63); the same seed repeats the result.

        Returns:
            uint8 (3, crop_px, crop_px), or of the image's own size.
        """
        # torchvision draws from the global generator and takes no other.
        with global_seed(seed):
            pixels = _pixels(image)
            for step in self._steps:
                pixels = step(pixels)
        return pixels


def resize_and_crop(image: Image.Image | Tensor, resolution: ResolutionConfig) -> Tensor:
    """Resize the shorter side, and cut out the middle.

    Args:
        image: RGB, or uint8 (3, H, W).
        resolution: The shorter side becomes evaluation_px / crop_ratio.

    Returns:
        uint8 (3, evaluation_px, evaluation_px).
    """
    size_px = resolution.evaluation_px
    resize = v2.Resize(round(size_px / resolution.crop_ratio), antialias=True)
    return v2.CenterCrop(size_px)(resize(_pixels(image)))


def _policy(config: TrivialAugmentConfig | RandAugmentConfig | AugMixConfig) -> v2.Transform:
    match config:
        case TrivialAugmentConfig():
            return v2.TrivialAugmentWide(interpolation=InterpolationMode.BILINEAR)
        case RandAugmentConfig():
            return v2.RandAugment(
                config.num_ops, config.magnitude, interpolation=InterpolationMode.BILINEAR
            )
        case AugMixConfig():
            return v2.AugMix(
                severity=config.severity,
                mixture_width=config.width,
                chain_depth=config.depth,
                alpha=config.alpha,
                interpolation=InterpolationMode.BILINEAR,
            )


def _pixels(image: Image.Image | Tensor) -> Tensor:
    # Before all else: of 500x375 pixels, torch crops and resizes in half of PIL's time.
    return F.pil_to_tensor(image) if isinstance(image, Image.Image) else image
