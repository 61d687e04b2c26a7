"""Which box of each image is looked at: at random in training, the middle in evaluation.

Boxes are chosen in pixels of the original images, whose width and height are kept, and then
expressed in pixels of the square that each image was squashed to.
"""

import math

import numpy as np

AREA_RATIOS = (0.08, 1.0)
SIDE_RATIOS = (3 / 4, 4 / 3)
"""Of width to height."""
_TRIES = 10


def random_boxes(sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random boxes of 8% to 100% of each image's area, of sides 3:4 to 4:3.

    Args:
        sizes: Width and height of each image in pixels, int (n, 2).
        rng: Drawn from four times, whatever the sizes.

    Returns:
        Whole pixels, int64 (n, 4): left, upper, right, lower.

    Source: torchvision's `RandomResizedCrop`, with its defaults: ten tries, then the largest box in
    the middle that keeps the sides' ratio within bounds.
    """
    width, height = sizes[:, 0], sizes[:, 1]
    shape = (_TRIES, len(sizes))
    areas = width * height * rng.uniform(*AREA_RATIOS, shape)
    low, high = map(math.log, SIDE_RATIOS)
    ratios = np.exp(rng.uniform(low, high, shape))
    across, down = np.rint(np.sqrt(areas * ratios)), np.rint(np.sqrt(areas / ratios))
    fits = (across > 0) & (across <= width) & (down > 0) & (down <= height)
    first, each = fits.argmax(axis=0), np.arange(len(sizes))
    fitted = fits.any(axis=0)
    box_width = np.where(fitted, across[first, each], _widest(width, height)).astype(np.int64)
    box_height = np.where(fitted, down[first, each], _widest(height, width)).astype(np.int64)
    left, upper = (
        np.where(fitted, (rng.random(len(sizes)) * (room + 1)).astype(np.int64), room // 2)
        for room in (width - box_width, height - box_height)
    )
    return np.stack((left, upper, left + box_width, upper + box_height), axis=1)


def _widest(side: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The side of the largest box of an image: all of it, or 4/3 of the other side."""
    return np.where(side > other * SIDE_RATIOS[1], np.rint(other * SIDE_RATIOS[1]), side)


def mirrored(boxes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same boxes, each with left and right exchanged with probability one half."""
    flip = rng.random(len(boxes)) < 0.5
    return np.where(flip[:, None], boxes[:, [2, 1, 0, 3]], boxes)


def middle_boxes(sizes: np.ndarray, *, size_px: int, crop_ratio: float) -> np.ndarray:
    """What is left of an image whose shorter side is resized, and whose middle is cut out.

    Args:
        sizes: Width and height of each image in pixels, int (n, 2).
        size_px: Of the square that is cut out.
        crop_ratio: The shorter side becomes size_px / crop_ratio.

    Returns:
        Float64 (n, 4), as `random_boxes`; of `per_image.resize_and_crop`, to the pixel.
    """
    short_px = round(size_px / crop_ratio)
    # Whole pixels, as torchvision rounds them, so that the part is the same.
    resized = (short_px * sizes / sizes.min(axis=1, keepdims=True)).astype(np.int64)
    begin = np.rint((resized - size_px) / 2)
    edges = np.concatenate((begin, begin + size_px), axis=1)
    return edges * np.tile(sizes / resized, 2)


def in_record(boxes: np.ndarray, sizes: np.ndarray, size_px: int) -> np.ndarray:
    """Boxes in pixels of an image, as float32 in pixels of the square it was squashed to."""
    return (boxes * (size_px / np.tile(sizes, 2))).astype(np.float32)


def size_of_view(size: tuple[int, int], size_px: int) -> tuple[int, int]:
    """Width and height at which a record shows its image unsquashed.

    The shorter side is as long as the record's, or as the image's own if that is less: so a strip
    of 10,000 x 1 pixels becomes no larger than it was.
    """
    scale = min(1.0, size_px / min(size))
    return max(1, math.floor(size[0] * scale)), max(1, math.floor(size[1] * scale))
