"""Data sets whose labels say which image is which, for tests of what is loaded in which order."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from PIL import Image

from resnet_core.data.dataset import BadImage, ImageData, Split, StreamedSplit
from resnet_core.data.loader import Batch

CPU = torch.device("cpu")


class Pictures:
    """Of all sizes; each one's label is its place. Those in ``broken`` cannot be read."""

    def __init__(self, num: int, broken: Iterable[int] = (), error: Any = None) -> None:
        self._num = num
        self._broken = frozenset(broken)
        self._error = error or (lambda index: BadImage(f"{index}.jpg: broken", f"{index}.jpg"))

    def __len__(self) -> int:
        return self._num

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        if index in self._broken:
            raise self._error(index)
        rng = np.random.default_rng(index)
        pixels = rng.integers(0, 256, (10 + index % 3, 12, 3), dtype=np.uint8)
        return Image.fromarray(pixels), index


def data_of(split: Split | StreamedSplit) -> ImageData:
    mean, std = torch.full((3, 1, 1), 100.0), torch.ones(3, 1, 1)
    return ImageData(split, split, split, mean, std, num_classes=23, device=CPU)


def streamed_data(*args: Any, on_bad_image: Any = "error") -> ImageData:
    return data_of(StreamedSplit(Pictures(*args), on_bad_image))


def numbered_data() -> ImageData:
    """23 images of noise in memory, of 8x8 pixels; each one's label is its place."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (23, 3, 8, 8), generator=generator).to(torch.uint8)
    return data_of(Split(images, torch.arange(23)))


def labels_of(batches: Iterable[Batch]) -> list[int]:
    return torch.cat([batch.labels for batch in batches]).tolist()


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)
        assert ours.bad == theirs.bad
