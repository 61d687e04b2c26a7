"""Packed images, mapped into memory: every process of a node reads the same pages of its cache."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from resnet_core.data.crops import size_of_view
from resnet_core.data.hold_out import LabelledImages
from resnet_core.data.packed.layout import Layout, Shard


class PackedImages(LabelledImages):
    """Images of a split; an `ImageDataset`, which also gives a whole batch of records.

    Args:
        folder: That holds the shards.
        layout: Of the records.
        shards: Of the split.
        sizes: Width and height of the originals, int64 (N, 2), of the images of ``rows``.
        labels: Their classes, int64 (N,).
        digest: Of the split as it is packed.
        rows: Places in the shards, one after another, int64 (N,).
    """

    def __init__(
        self, folder: Path, layout: Layout, shards: tuple[Shard, ...], *, sizes: np.ndarray,
        labels: np.ndarray, digest: str, rows: np.ndarray,
    ) -> None:  # fmt: skip
        self.layout = layout
        self.sizes = sizes
        self.labels = labels
        self._folder = folder
        self._shards = shards
        self._digest = digest
        self._rows = rows
        self._begins = np.cumsum([0, *(shard.num_images for shard in shards)])
        self._maps: list[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        """The image unsquashed, at the record's resolution, and its class."""
        record = np.empty((1, self.layout.record_bytes), dtype=np.uint8)
        self.gather(np.array([index]), record)
        width, height = self.sizes[index].tolist()
        view = size_of_view((width, height), self.layout.size_px)
        image = _square(record[0], self.layout).resize(view, Image.Resampling.BILINEAR)
        return image, int(self.labels[index])

    def __getstate__(self) -> dict[str, Any]:
        # A map would be pickled as everything it maps.
        return {**self.__dict__, "_maps": None}

    def part(self, chosen: np.ndarray | slice) -> "PackedImages":
        """The images at which ``chosen``, bool (N,), is true, or a slice of them."""
        return PackedImages(
            self._folder, self.layout, self._shards, sizes=self.sizes[chosen],
            labels=self.labels[chosen], digest=self._digest, rows=self._rows[chosen],
        )  # fmt: skip

    def fingerprint(self) -> Iterator[bytes]:
        """What tells these images from others: the digests of the files, and which of them."""
        yield self._digest.encode()
        yield self._rows.tobytes()

    def gather(self, indices: np.ndarray, out: np.ndarray) -> None:
        """Copy the records of some images.

        Args:
            indices: int64 (n,).
            out: Where to, uint8 (n, record_bytes), as torch allots it. Numpy's begins 16 bytes
                after a page, where copying from a map takes four times as long (AMD EPYC).

        Raises:
            OSError: If a file cannot be opened.
        """
        maps = self._opened()
        rows = self._rows[indices]
        shards = np.searchsorted(self._begins, rows, side="right") - 1
        places = rows - self._begins[shards]
        for row, shard, place in zip(out, shards.tolist(), places.tolist(), strict=True):
            row[:] = maps[shard][place]

    def _opened(self) -> list[np.ndarray]:
        # By each process for itself, and not before it reads: a fork or a pickle takes none along.
        if self._maps is None:
            self._maps = [_mapped(self._folder, shard, self.layout) for shard in self._shards]
        return self._maps


def _mapped(folder: Path, shard: Shard, layout: Layout) -> np.ndarray:
    shape = (shard.num_images, layout.record_bytes)
    mapped = np.memmap(folder / shard.file, mode="r", shape=shape, dtype=np.uint8)
    # Plain arrays of the same memory give a row in a quarter of the time.
    return mapped.view(np.ndarray)


def _square(record: np.ndarray, layout: Layout) -> Image.Image:
    side_px = layout.size_px
    if layout.pixel_format == "rgb":
        return Image.fromarray(record.reshape(side_px, 3, side_px).transpose(0, 2, 1).copy())
    half_px = side_px // 2
    luma = Image.fromarray(record[: side_px**2].reshape(side_px, side_px))
    chroma = record[side_px**2 :].reshape(half_px, 2, half_px)
    planes = [
        Image.fromarray(chroma[:, plane].copy()).resize(luma.size, Image.Resampling.BILINEAR)
        for plane in (0, 1)
    ]
    return Image.merge("YCbCr", (luma, *planes)).convert("RGB")


def wrong_size(folder: Path, shard: Shard, layout: Layout) -> str | None:
    """What is wrong with the length of a shard's file; None if it is right."""
    expected = shard.num_images * layout.record_bytes
    try:
        found = (folder / shard.file).stat().st_size
    except FileNotFoundError:
        return f"{folder / shard.file}: is not there"
    if found != expected:
        return f"{folder / shard.file}: has {found:,} bytes instead of {expected:,}"
    return None
