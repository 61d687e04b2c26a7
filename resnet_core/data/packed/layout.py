"""What a folder of packed images holds, and its manifest; needs no torch.

    manifest.json           what it is about, and a digest of every file and of itself
    train.sizes.npy         width, height and class of each image of the original
    train-00000.records     one record after another, without anything between them
    train-00001.records     ...
    val..., test...         as the source has them

Every image is squashed to a square, so all records have one size. A record is lines of pixels from
top to bottom. ``rgb``: of each line the reds, the greens, the blues. ``yuv420``: the lines of
brightness, then of each line of half the resolution the blue and the red differences (JPEG's
YCbCr); half the bytes.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

FORMAT = 1
MANIFEST = "manifest.json"
PixelFormat = Literal["rgb", "yuv420"]
SIZES = np.dtype([("width", "<i4"), ("height", "<i4"), ("label", "<i4")])
"""Of each image, in `sizes_file`."""

_SHARD_BYTES, _SHARD_IMAGES = 2**26, 1024
"""Small enough that a kill costs seconds, large enough that Linux can map a million images."""
SMALLEST_PX, LARGEST_PX = 8, 2048


class CorruptPack(OSError):
    """A folder of packed images that is not what was written; says which file and how."""


@dataclass(frozen=True)
class Layout:
    """How an image lies in a record.

    Attributes:
        size_px: Of each side of the square; even for yuv420.
        pixel_format: ``rgb`` or ``yuv420``.
    """

    size_px: int
    pixel_format: PixelFormat

    def __post_init__(self) -> None:
        if not SMALLEST_PX <= self.size_px <= LARGEST_PX:
            raise ValueError(
                f"size must be from {SMALLEST_PX} to {LARGEST_PX} pixels, got {self.size_px}"
            )
        if self.pixel_format not in get_args(PixelFormat):
            allowed = " or ".join(get_args(PixelFormat))
            raise ValueError(f"format must be {allowed}, got {self.pixel_format!r}")
        if self.pixel_format == "yuv420" and self.size_px % 2:
            raise ValueError(
                f"size must be even for yuv420, got {self.size_px}; the nearest that are: "
                f"{self.size_px - 1} and {self.size_px + 1}"
            )

    @property
    def record_bytes(self) -> int:
        """Of one image."""
        pixels = self.size_px**2
        return 3 * pixels if self.pixel_format == "rgb" else pixels + pixels // 2

    @property
    def images_per_shard(self) -> int:
        """That one file is packed from: at most 1,024, and 64 MiB."""
        return min(_SHARD_IMAGES, max(1, _SHARD_BYTES // self.record_bytes))


@dataclass(frozen=True)
class Shard:
    """A file of records: its name in the folder, how many, and its sha256 in hex."""

    file: str
    num_images: int
    sha256: str


@dataclass(frozen=True)
class PackedSplit:
    """A split as it is packed.

    Attributes:
        shards: In the order of the images.
        sizes_sha256: Of the file of widths, heights and classes.
        source_sha256: Of the names and classes of the source's files.
        skipped: Files that could not be decoded and were left out.
    """

    shards: tuple[Shard, ...]
    sizes_sha256: str
    source_sha256: str
    skipped: tuple[str, ...]

    @property
    def num_images(self) -> int:
        """In all shards."""
        return sum(shard.num_images for shard in self.shards)


@dataclass(frozen=True)
class PackManifest:
    """What a folder of packed images is about.

    Attributes:
        source: The folder it was packed from.
        layout: Of the records.
        class_names: Of class 0 to K - 1.
        splits: ``train``, ``val`` and ``test``, as the source has them.
        mean: Of the channels, on the scale 0 to 255, that training normalises with.
        std: Likewise.
    """

    source: str
    layout: Layout
    class_names: tuple[str, ...]
    splits: dict[str, PackedSplit]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def to_json(self) -> str:
        """With the format, the bytes of a record, counts, and ``manifest_sha256`` of the rest."""
        content = {"format": FORMAT, "record_bytes": self.layout.record_bytes, **asdict(self)}
        for name, split in self.splits.items():
            content["splits"][name]["num_images"] = split.num_images
        return json.dumps({**content, "manifest_sha256": _digest(content)}, indent=1)

    def digest(self, split_name: str) -> str:
        """sha256, in hex, of the pixels, sizes and classes of a split, wherever it lies."""
        split = self.splits[split_name]
        shards = [shard.sha256 for shard in split.shards]
        return _digest({**asdict(self.layout), "shards": shards, "sizes": split.sizes_sha256})


def sizes_file(split_name: str) -> str:
    """Name of the file of widths, heights and classes."""
    return f"{split_name}.sizes.npy"


def read_pack_manifest(folder: Path) -> PackManifest:
    """Read what a folder is about; looks at no other file.

    Raises:
        FileNotFoundError: If there is no manifest: nothing was packed, or not to the end.
        CorruptPack: If it is not what was written, or another version wrote it.
    """
    file = folder / MANIFEST
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{file} is not there: {folder} holds no packed images, or packing did not end; "
            f"run (again): sweeps pack SOURCE {folder}"
        ) from error
    except UnicodeDecodeError as error:
        raise CorruptPack(f"{file}: no text ({error})") from error
    try:
        content = json.loads(text)
        if content.get("format") != FORMAT:
            raise ValueError(f"format {content.get('format')}, this version reads {FORMAT}")
        if content.pop("manifest_sha256", None) != _digest(content):
            raise ValueError("its sha256 is not the one it states")
        return _manifest(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptPack(f"{file}: {error}; pack again") from error


def _manifest(content: dict[str, Any]) -> PackManifest:
    splits = {}
    for name, split in content["splits"].items():
        shards = tuple(Shard(**shard) for shard in split["shards"])
        if any(Path(shard.file).name != shard.file for shard in shards):
            raise ValueError("it names a file outside its folder")
        splits[name] = PackedSplit(
            shards, split["sizes_sha256"], split["source_sha256"], tuple(split["skipped"])
        )
    return PackManifest(
        source=content["source"],
        layout=Layout(**content["layout"]),
        class_names=tuple(content["class_names"]),
        splits=splits,
        mean=tuple(content["mean"]),
        std=tuple(content["std"]),
    )


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
