"""Splits as plain array files that every process of a machine maps into its memory.

Their pages lie in the kernel's cache once, however many trainings read them; a split that each
process reads for itself costs each one as much again.

    <folder>/
      train.images.npy  train.labels.npy  validation.images.npy  ...
      manifest.json                                      sha256 of each file

Where the test split is what is validated on there are no files of validation.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch

from resnet_core.data.dataset import Split
from resnet_core.durable import temporary_name
from resnet_core.manifest import file_sha256

_NAMES = ("train", "validation", "test")
_PARTS = ("images", "labels")
_MANIFEST = "manifest.json"

Splits = tuple[Split, Split, Split]


def map_splits(folder: Path) -> Splits | None:
    """The splits that lie in a folder, mapped; None if they are missing or damaged.

    Returns:
        As they were written. They may be written to as any tensor may: what is written stays in
        this process.
    """
    try:
        digests = json.loads((folder / _MANIFEST).read_text())
        arrays = {name: _map(folder / name, digest) for name, digest in digests.items()}
        found = {
            name: Split(*(torch.from_numpy(arrays[_file(name, part)]) for part in _PARTS))
            for name in _NAMES
            if _file(name, "images") in arrays
        }
        return found["train"], found.get("validation", found["test"]), found["test"]
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        return None


def write_splits(folder: Path, splits: Splits) -> None:
    """Write the splits so that `map_splits` finds them, in place of what lies there.

    Raises:
        OSError: If they cannot be written; nothing half-written is left.
    """
    temporary = temporary_name(folder)
    try:
        temporary.mkdir()
        _, validation, test = splits
        digests = {}
        for name, split in zip(_NAMES, splits, strict=True):
            if name == "validation" and validation is test:
                continue
            for part in _PARTS:
                file = temporary / _file(name, part)
                np.save(file, getattr(split, part).numpy())
                digests[file.name] = file_sha256(file)
        (temporary / _MANIFEST).write_text(json.dumps(digests))
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _file(split: str, part: str) -> str:
    return f"{split}.{part}.npy"


def _map(file: Path, digest: str) -> np.ndarray:
    if file_sha256(file) != digest:
        raise ValueError(f"{file} is damaged")
    # Copy-on-write, or torch warns that somebody might write to it.
    return np.load(file, mmap_mode="c")
