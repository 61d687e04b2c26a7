"""Folders of small images, packed, for tests of what is packed and what comes out of it."""

from pathlib import Path

import numpy as np
from PIL import Image

from resnet_core.data.packed.layout import Layout, PackManifest, PixelFormat
from resnet_core.data.packed.pack import pack
from resnet_core.data.packed.source import load_packed
from resnet_core.data.section import PackedConfig

RGB = Layout(32, "rgb")
SIZES = ((50, 40), (40, 50), (44, 44), (90, 30))
"""Width and height of images 0, 1, 2, 3, 4 (as 0), ..."""


def smooth(width: int, height: int, seed: int) -> Image.Image:
    """Colours that change over several pixels, as in photographs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def make_folder(root: Path, **counts: int) -> Path:
    """Splits of two classes, ant and bee, with so many images each."""
    for split, count in counts.items():
        for label, name in enumerate(("ant", "bee")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                picture = smooth(*SIZES[index % len(SIZES)], seed=1000 * label + index)
                picture.save(folder / f"{index:03d}.png")
    return root


def make_packed(
    tmp_path: Path, *, size_px: int = 32, pixel_format: PixelFormat = "rgb", **counts: int
) -> tuple[Path, PackManifest]:
    """A folder of images and, beside it, what it was packed into."""
    source = make_folder(tmp_path / "images", **(counts or {"train": 12, "val": 5, "test": 3}))
    folder = tmp_path / "packed"
    return folder, pack(source, folder, Layout(size_px, pixel_format))


def open_all(folder: Path, **section) -> list:
    return load_packed(PackedConfig(path=str(folder), **section))[1]


def flip_a_byte(file: Path, at: int = 1000) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
