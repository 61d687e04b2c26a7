"""Which box of each image is looked at: at random in training, the middle in evaluation.

Boxes are chosen in pixels of the images. Those of packed images, whose width and height are kept,
are then expressed in pixels of the square that each was squashed to.
"""

import math

import numpy as np

from resnet_core.random_streams import Stream, numpy_generator

AREA_RATIOS = (0.08, 1.0)
SIDE_RATIOS = (3 / 4, 4 / 3)
"""Of width to height."""
_FLIPPED = 0.5
_TRIES = 10
_LEFT, _UPPER, _FLIP = range(2 * _TRIES, 2 * _TRIES + 3)
NUM_DRAWS = 2 * _TRIES + 3
"""Numbers in [0, 1) that decide how an image is cut and mirrored."""


def crop_draws(own: slice, *, seed: int, step: int) -> np.ndarray:
    """What decides on the crops of a worker's share of a global batch.

    Args:
        own: This worker's places in it.
        seed: Of the recipe.
        step: What is drawn depends on it, the seed and the place in the global batch alone.

    Returns:
        In [0, 1), float64 (n, NUM_DRAWS).
    """
    rng = numpy_generator(seed, Stream.CROP, step)
    bits = rng.bit_generator
    assert isinstance(bits, np.random.PCG64)
    bits.advance(own.start * NUM_DRAWS)  # past what the places before take
    return rng.random((own.stop - own.start, NUM_DRAWS))


def random_boxes(sizes: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Random boxes of 8% to 100% of each image's area, of sides 3:4 to 4:3.

    Args:
        sizes: Width and height of each image in pixels, int (n, 2).
        draws: Of `crop_draws`.

    Returns:
        Whole pixels, int64 (n, 4): left, upper, right, lower.

    Source: torchvision's `RandomResizedCrop`, with its defaults: ten tries, then the largest box in
    the middle that keeps the sides' ratio within bounds.
    """
    width, height = sizes[:, 0], sizes[:, 1]
    across, down = (np.rint(np.sqrt(width * height) * sides.T) for sides in _sides(draws))
    fits = (across > 0) & (across <= width) & (down > 0) & (down <= height)
    first, each = fits.argmax(axis=0), np.arange(len(sizes))
    fitted = fits.any(axis=0)
    box_width = np.where(fitted, across[first, each], _widest(width, height)).astype(np.int64)
    box_height = np.where(fitted, down[first, each], _widest(height, width)).astype(np.int64)
    left, upper = (
        np.where(fitted, (draws[:, draw] * (room + 1)).astype(np.int64), room // 2)
        for draw, room in ((_LEFT, width - box_width), (_UPPER, height - box_height))
    )
    return np.stack((left, upper, left + box_width, upper + box_height), axis=1)


class RandomBoxes:
    """`random_boxes` of images that come one by one, sooner than numpy does one.

    Args:
        draws: Of `crop_draws`.
    """

    def __init__(self, draws: np.ndarray) -> None:
        across, down = _sides(draws)
        self._sides = [list(zip(*of_one, strict=True)) for of_one in
                       zip(across.tolist(), down.tolist(), strict=True)]  # fmt: skip
        self._draws = draws.tolist()

    def box(self, place: int, width: int, height: int) -> tuple[int, int, int, int]:
        """Of the image at a place among the draws: left, upper, right, lower."""
        draws, root = self._draws[place], math.sqrt(width * height)
        for across, down in self._sides[place]:
            box_width, box_height = round(root * across), round(root * down)
            if 0 < box_width <= width and 0 < box_height <= height:
                left = int(draws[_LEFT] * (width - box_width + 1))
                upper = int(draws[_UPPER] * (height - box_height + 1))
                return left, upper, left + box_width, upper + box_height
        sides = np.array([width, height])
        box_width, box_height = _widest(sides, sides[::-1]).astype(np.int64).tolist()
        left, upper = (width - box_width) // 2, (height - box_height) // 2
        return left, upper, left + box_width, upper + box_height

    def mirrored(self, place: int) -> bool:
        """Whether the image at a place is."""
        return self._draws[place][_FLIP] < _FLIPPED


def _sides(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Width and height of each try's box, over the root of the image's area; (n, _TRIES)."""
    low, high = AREA_RATIOS
    areas = low + (high - low) * draws[:, :_TRIES]
    low, high = map(math.log, SIDE_RATIOS)
    ratios = np.exp(low + (high - low) * draws[:, _TRIES : 2 * _TRIES])
    return np.sqrt(areas * ratios), np.sqrt(areas / ratios)


def _widest(side: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The side of the largest box of an image: all of it, or 4/3 of the other side."""
    return np.where(side > other * SIDE_RATIOS[1], np.rint(other * SIDE_RATIOS[1]), side)


def mirrored(boxes: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The same boxes, each with left and right exchanged with probability one half.

    Args:
        boxes: (n, 4): left, upper, right, lower.
        draws: Of `crop_draws`.
    """
    flip = draws[:, _FLIP] < _FLIPPED
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
