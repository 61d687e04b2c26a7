"""The data source `packed`: opened, its files' lengths checked, shared out as a folder's are."""

import io
from hashlib import sha256
from pathlib import Path

import numpy as np

from resnet_core.data.hold_out import needed_splits, shared_out
from resnet_core.data.packed.images import PackedImages, wrong_size
from resnet_core.data.packed.layout import (
    SIZES,
    CorruptPack,
    PackManifest,
    read_pack_manifest,
    sizes_file,
)
from resnet_core.data.section import PackedConfig

AGAIN = "run again: sweeps pack"


def load_packed(config: PackedConfig) -> tuple[int, list[PackedImages]]:
    """Open packed images; their pixels are neither read nor verified.

    Args:
        config: Its validation_ratio is an `ImageFolderConfig`'s, and holds out the same images, as
            long as none was skipped while packing.

    Returns:
        The number of classes, and train, validation and test.

    Raises:
        FileNotFoundError: If nothing was packed there, or not the split that is needed.
        CorruptPack: If the manifest or the sizes are damaged, or a file's length is wrong.
        CannotTrain: If validation_ratio holds out no image.
    """
    folder = Path(config.path).expanduser()
    manifest = read_pack_manifest(folder)
    names = needed_splits(config.validation_ratio, has_test="test" in manifest.splits)
    for name in names:
        if name not in manifest.splits:
            raise FileNotFoundError(
                f"{folder} holds no {name}, since {manifest.source} had none when it was packed; "
                f"it holds {', '.join(manifest.splits)}"
            )
    found = {name: open_split(folder, manifest, name) for name in names}
    splits = shared_out(found, config.validation_ratio, folder, "packed")
    return len(manifest.class_names), splits


def open_split(folder: Path, manifest: PackManifest, name: str) -> PackedImages:
    """All images of a split.

    Args:
        folder: That the manifest is of.
        manifest: As it was read.
        name: ``train``, ``val`` or ``test``.

    Raises:
        CorruptPack: As `load_packed`.
    """
    split = manifest.splits[name]
    for shard in split.shards:
        if wrong := wrong_size(folder, shard, manifest.layout):
            raise CorruptPack(f"{wrong}; {AGAIN} {manifest.source} {folder}")
    file = folder / sizes_file(name)
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise CorruptPack(f"{file}: is not there; {AGAIN} {manifest.source} {folder}") from error
    if sha256(content).hexdigest() != split.sizes_sha256:
        raise CorruptPack(
            f"{file}: its sha256 is not the manifest's; {AGAIN} {manifest.source} {folder}"
        )
    table = np.load(io.BytesIO(content)).astype(SIZES, copy=False)
    return PackedImages(
        folder,
        manifest.layout,
        split.shards,
        sizes=np.stack((table["width"], table["height"]), axis=1).astype(np.int64),
        labels=table["label"].astype(np.int64),
        digest=manifest.digest(name),
        rows=np.arange(len(table)),
    )
