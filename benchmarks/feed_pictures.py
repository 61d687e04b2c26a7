"""JPEGs of the spectrum and sizes of photographs, made here, for `benchmarks.feed`."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((500, 375), (500, 375), (375, 500), (500, 333), (400, 300))
"""Usual ones of ImageNet, width and height."""
QUALITY = 90


def make_pictures(root: Path, num_images: int) -> None:
    """A folder as ImageNet's, of so many training images."""
    rng = np.random.default_rng(0)
    for split, number in (("train", num_images), ("val", 1), ("test", 1)):
        folder = root / split / "a"
        folder.mkdir(parents=True)
        for index in range(number):
            size = SIZES[index % len(SIZES)]
            picture(*size, rng).save(folder / f"{index:05d}.jpg", quality=QUALITY)


def picture(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Noise whose power falls with the square of the frequency, as that of photographs does."""
    frequency = np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width) ** 2
    frequency[0, 0] = 1
    waves = np.fft.rfft2(rng.standard_normal((3, height, width))) / np.sqrt(frequency)
    pixels = np.fft.irfft2(waves, s=(height, width))
    pixels *= 45 / pixels.std(axis=(1, 2), keepdims=True)
    return Image.fromarray((pixels + 120).clip(0, 255).astype(np.uint8).transpose(1, 2, 0))
