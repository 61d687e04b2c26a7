"""What is done to one image at a time, in the loader processes.

Where it is cut is given, and what else is random follows from a seed of its own, so it does not
matter which process loads an image, or what that one loaded before.
"""

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from resnet_core.methods.aug_mix import aug_mix
from resnet_core.methods.rand_augment import rand_augment
from resnet_core.methods.random_erasing import random_erasing
from resnet_core.methods.section import MethodsConfig, ResolutionConfig
from resnet_core.methods.trivial_augment import trivial_augment
from resnet_core.random_streams import global_seed


class Policies:
    """What a recipe has done to single images: at most one policy, then random erasing.

    Args:
        methods: Which policy, and whether to erase.
        mean: Colour of what is erased, float (3, 1, 1), on the scale 0 to 255.

    Source: torchvision's transforms, with its defaults but for bilinear interpolation.
    """

    def __init__(self, methods: MethodsConfig, *, mean: Tensor) -> None:
        self._steps: list[v2.Transform] = []
        if methods.trivial_augment is not None:
            self._steps.append(trivial_augment())
        if methods.rand_augment is not None:
            self._steps.append(rand_augment(methods.rand_augment))
        if methods.aug_mix is not None:
            self._steps.append(aug_mix(methods.aug_mix))
        if methods.random_erasing is not None:
            self._steps.append(random_erasing(methods.random_erasing, mean=mean))

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __call__(self, image: Tensor, seed: int) -> Tensor:
        """Augment an image; the global random numbers of torch are left alone.

        Args:
            image: uint8 (3, H, W).
            seed: In [0, 2**63); the same seed repeats the result.

        Returns:
            uint8 (3, H, W), of the image's own size.
        """
        # torchvision draws from the global generator and takes no other.
        with global_seed(seed):
            for step in self._steps:
                image = step(image)
        return image


def resized_box(
    image: Tensor, box: tuple[int, int, int, int], size_px: int, *, mirrored: bool
) -> Tensor:
    """Cut a box out of an image, resize and perhaps mirror it; bilinear, antialiased.

    Args:
        image: uint8 (3, H, W).
        box: Left, upper, right, lower, in pixels of the image.
        size_px: Of the result's sides.
        mirrored: Left and right exchanged.

    Returns:
        uint8 (3, size_px, size_px), interleaved in memory.
    """
    left, upper, right, lower = box
    # torch resizes a whole interleaved image sooner than a part of one.
    part = image[None, :, upper:lower, left:right]
    part = part.contiguous(memory_format=torch.channels_last)
    resized = interpolate(part, size=(size_px, size_px), mode="bilinear", antialias=True)[0]
    return resized.flip(-1) if mirrored else resized


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
    return v2.CenterCrop(size_px)(resize(pixels_of(image)))


def pixels_of(image: Image.Image | Tensor) -> Tensor:
    """uint8 (3, H, W) of an RGB image, or of such a tensor itself."""
    # Before all else: of 500x375 pixels, torch crops and resizes in half of PIL's time.
    return F.pil_to_tensor(image) if isinstance(image, Image.Image) else image
