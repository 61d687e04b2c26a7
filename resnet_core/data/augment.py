"""Augmentation and normalisation of whole batches, on the device; nothing waits for it."""

import torch
import torch.nn.functional as F
from torch import Tensor

_ALL = slice(None)


def random_shift(
    images: Tensor,
    *,
    max_shift_px: int,
    generator: torch.Generator,
    batch_size: int | None = None,
    own: slice = _ALL,
) -> Tensor:
    """Move every image by its own random number of pixels, down and right; edges fill with 0.

    Args:
        images: (N, C, H, W), any type.
        max_shift_px: Shifts are whole pixels in [-max_shift_px, max_shift_px], all equally likely.
        generator: On the CPU; drawn from once per call.
        batch_size: Images to draw for, if these are only some of them.
        own: The places of these among them.

    Returns:
        (N, C, H, W), a new tensor; the input itself if ``max_shift_px`` is 0.

    Source: the padded random crop of He et al. 2015, arXiv:1512.03385, section 4.2.
    """
    if max_shift_px == 0:
        return images
    num, channels, height, width = images.shape
    offsets = torch.randint(2 * max_shift_px + 1, (2, batch_size or num), generator=generator)
    offsets = offsets[:, own].to(images.device, non_blocking=True)
    padded = F.pad(images, (max_shift_px,) * 4).contiguous()
    # Row by row, which a CPU copies much sooner than pixel by pixel: where each row of the result
    # begins among all pixels, and every stretch of pixels as long as a row.
    planes = torch.arange(num * channels, device=images.device).view(num, channels, 1)
    rows = offsets[0, :, None, None] + torch.arange(height, device=images.device)
    begins = (planes * padded.shape[2] + rows) * padded.shape[3] + offsets[1, :, None, None]
    stretches = padded.as_strided((padded.numel() - width + 1, width), (1, 1))
    return stretches.index_select(0, begins.flatten()).view(images.shape)


def random_flip(
    images: Tensor,
    *,
    generator: torch.Generator,
    batch_size: int | None = None,
    own: slice = _ALL,
) -> Tensor:
    """Mirror every image, left to right, with probability one half.

    Args:
        images: (N, C, H, W), any type.
        generator: On the CPU; drawn from once per call.
        batch_size: As for `random_shift`.
        own: Likewise.

    Returns:
        (N, C, H, W), a new tensor.
    """
    drawn = torch.randint(2, (batch_size or len(images), 1, 1, 1), generator=generator)
    flipped = drawn[own].flatten().to(images.device, non_blocking=True)
    # Copies whole images, which a CPU does sooner than choosing pixel by pixel.
    which = torch.arange(len(images), device=images.device) + len(images) * flipped
    return torch.cat([images, images.flip(-1)]).index_select(0, which)


def normalise(images: Tensor, mean: Tensor, std: Tensor, *, channels_last: bool = False) -> Tensor:
    """Images as the network takes them.

    Args:
        images: uint8 (N, 3, H, W).
        mean: Float (3, 1, 1), on the scale 0 to 255.
        std: Likewise, above 0.
        channels_last: Lay the result out in memory channels last, instead of contiguously.

    Returns:
        Float32 (N, 3, H, W), a new tensor.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return images.to(torch.float32, memory_format=layout).sub_(mean).div_(std)
