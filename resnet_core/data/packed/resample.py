"""Cutting boxes out of records and resizing them, a whole batch at a time, on any device.

A box is resized as PIL's antialiased ``resize(size, BILINEAR, box=...)`` does it, by two products
of matrices: rows, then columns. Every number that enters a product has at most 11 significant bits,
and no sum needs more than 24. So float32 adds up exactly, in whatever order, with TF32 or without:
an image is the same, to the bit, in a batch of any size and with any number of threads.
"""

import torch
from torch import Tensor

from resnet_core.data.packed.layout import Layout

_WEIGHT_STEPS = 2**11
"""A weight is a multiple of 1/2048, at most 1."""
_BETWEEN_STEPS = 2**3
"""Between the two products a value is a multiple of 1/8, below 256."""


def cut_out(records: Tensor, boxes: Tensor, layout: Layout, size_px: int) -> Tensor:
    """A box of each record, resized to a square.

    Args:
        records: uint8 (n, bytes), as `Layout` describes them.
        boxes: Float32 (n, 4), left, upper, right and lower edge in pixels of the record's square,
            on the device of the records. Where right is less than left, the box is mirrored.
        layout: Of the records.
        size_px: Of each side of the result.

    Returns:
        uint8 (n, 3, size_px, size_px), 0 to 255, RGB.

    Source: the coefficients of PIL's Resample.c, with pixels outside the box, but of the image,
    under the filter.
    """
    side_px = layout.size_px
    num = len(records)
    if layout.pixel_format == "rgb":
        lines = records.view(num, side_px, 3 * side_px)
        pixels = _resized(lines, boxes, side_px, size_px)
        return pixels.round_().to(torch.uint8).permute(0, 2, 1, 3).contiguous()
    half_px = side_px // 2
    luma = records[:, : side_px**2].view(num, side_px, side_px)
    chroma = records[:, side_px**2 :].view(num, half_px, 2 * half_px)
    y = _resized(luma, boxes, side_px, size_px)[:, :, 0]
    # A colour sample lies in the middle of its 2 x 2 pixels, so edges halve and nothing shifts.
    cb, cr = _resized(chroma, boxes / 2, half_px, size_px).sub_(128).unbind(dim=2)
    red = cr * 1.402 + y
    green = y - cb * 0.344136 - cr * 0.714136
    blue = cb * 1.772 + y
    return torch.stack((red, green, blue), dim=1).round_().clamp_(0, 255).to(torch.uint8)


def _resized(lines: Tensor, boxes: Tensor, side_px: int, size_px: int) -> Tensor:
    """Boxes of planes whose lines take turns.

    Args:
        lines: uint8 (n, side_px, planes * side_px).
        boxes: As `cut_out`, in pixels of the planes.
        side_px: Of the planes.
        size_px: Of the result.

    Returns:
        Float32 (n, size_px, planes, size_px), multiples of 1/16384.
    """
    left, upper, right, lower = boxes.unbind(dim=1)
    rows = triangle_weights(upper, lower, side_px, size_px)
    columns = triangle_weights(left, right, side_px, size_px)
    between = torch.bmm(rows.mul_(_BETWEEN_STEPS), lines.float()).round_()
    num, planes = len(lines), lines.shape[2] // side_px
    between = between.view(num, size_px * planes, side_px)
    resized = torch.bmm(between, columns.mul_(1 / _BETWEEN_STEPS).transpose(1, 2))
    return resized.view(num, size_px, planes, size_px)


def triangle_weights(begin: Tensor, end: Tensor, in_px: int, out_px: int) -> Tensor:
    """How much each pixel of a line counts in each pixel of the resized part of it.

    Args:
        begin: Where the part begins, float32 (n,), in pixels.
        end: Where it ends; below ``begin`` mirrors it.
        in_px: Length of the line.
        out_px: Length of the result.

    Returns:
        Float32 (n, out_px, in_px), multiples of 1/2048, each row summing to 1.
    """
    device = begin.device
    scale = ((end - begin) / out_px)[:, None, None]
    places = torch.arange(out_px, device=device)[:, None] + 0.5
    centres = begin[:, None, None] + places * scale
    pixels = torch.arange(in_px, device=device) + 0.5
    # Where there are fewer pixels in than out, the triangle reaches over one pixel each way.
    weights = (pixels - centres).abs_().div_(scale.abs().clamp(min=1)).neg_().add_(1).clamp_(min=0)
    # Rounding what all weights up to a pixel come to, instead of each, leaves the sum at 1.
    up_to = weights.cumsum(dim=2)
    up_to = up_to.div_(up_to[:, :, -1:]).mul_(_WEIGHT_STEPS).round_()
    return torch.diff(up_to, dim=2, prepend=up_to.new_zeros(len(begin), out_px, 1)).div_(
        _WEIGHT_STEPS
    )
