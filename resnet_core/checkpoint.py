"""Checkpoints: a folder that is whole or not there, checked by digest, read without pickle.

    ep0003/
      model.pt        the model's state, names torchvision's
      optimizer.pt    the optimizer's state, and so on: a file for each state
      manifest.json   epoch, step, metrics, the recipe, and the sha256 of the other files

Order of data and everything random follow from seed and step (`random_streams`), so no random state
needs saving: training resumed from a checkpoint ends where it would have ended.
"""

import hashlib
import json
import os
import shutil
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

FORMAT = 2
MANIFEST = "manifest.json"


class CorruptCheckpoint(OSError):
    """A checkpoint that is not what was saved; says which file and how."""


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint is about.

    Attributes:
        epoch: Completed epochs.
        step: Completed optimizer steps.
        metrics: Of the epoch, as `EpochResult.metrics` gives them.
        recipe: As `Recipe.to_dict` gives it.
        sha256: File name -> digest in hex.
        elapsed_seconds: That the training has taken so far.
        format: Of this layout.
    """

    epoch: int
    step: int
    metrics: dict[str, Any]
    recipe: dict[str, Any]
    sha256: dict[str, str]
    elapsed_seconds: float
    format: int = FORMAT


def save_checkpoint(
    folder: Path,
    *,
    states: dict[str, Any],
    epoch: int,
    step: int,
    metrics: dict[str, Any],
    recipe: dict[str, Any],
    elapsed_seconds: float,
) -> None:
    """Write a checkpoint; the folder appears in one step, an older one of its name is replaced.

    Args:
        folder: Its parents are made where missing.
        states: Name (``model``, ``optimizer``, ...) -> what ``state_dict`` of it gives.
        epoch: Completed epochs.
        step: Completed optimizer steps.
        metrics: Of the epoch; plain numbers.
        recipe: Plain data.
        elapsed_seconds: That the training has taken so far.

    Raises:
        OSError: If it cannot be written; nothing half-written stays behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    replaced = _put_back(folder)
    for leftover in folder.parent.glob(f".{folder.name}.*"):  # of a writer that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    try:
        files = {f"{name}.pt": state for name, state in states.items()}
        for name, state in files.items():
            torch.save(state, temporary / name)
        sha256 = {name: _sha256(temporary / name) for name in files}
        manifest = Manifest(epoch, step, metrics, recipe, sha256, elapsed_seconds)
        (temporary / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
        for name in (*files, MANIFEST):
            _sync(temporary / name)
        _sync(temporary)
        if folder.exists():  # a folder cannot be renamed onto another one
            folder.replace(replaced)
        temporary.replace(folder)
        shutil.rmtree(replaced, ignore_errors=True)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read_manifest(folder: Path) -> Manifest:
    """Read what a checkpoint is about, without its states.

    Raises:
        CorruptCheckpoint: If it cannot be read.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text())
        if content.get("format") != FORMAT:
            raise ValueError(f"format {content.get('format')}, this version reads {FORMAT}")
        manifest = Manifest(**content)
        if "model.pt" not in manifest.sha256:
            raise ValueError("sha256 names no model.pt")
        return manifest
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CorruptCheckpoint(f"{folder / MANIFEST}: {error}") from error


def verify_checkpoint(folder: Path) -> Manifest:
    """Check every file against the manifest.

    Raises:
        CorruptCheckpoint: If a file is missing or its digest differs, or another version wrote it.
    """
    _put_back(folder)
    manifest = read_manifest(folder)
    for name, digest in manifest.sha256.items():
        try:
            found = _sha256(folder / name)
        except OSError as error:
            raise CorruptCheckpoint(f"{folder / name}: {error.strerror}") from error
        if found != digest:
            raise CorruptCheckpoint(f"{folder / name}: its sha256 is not the manifest's")
    return manifest


def load_checkpoint(folder: Path, device: torch.device) -> tuple[dict[str, Any], Manifest]:
    """Verify a checkpoint and read it.

    Returns:
        The states by name, as `save_checkpoint` was given them, and the manifest.

    Raises:
        CorruptCheckpoint: As `verify_checkpoint`.
    """
    manifest = verify_checkpoint(folder)
    states = {
        Path(name).stem: torch.load(folder / name, map_location=device, weights_only=True)
        for name in manifest.sha256
    }
    return states, manifest


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest good checkpoint ``ep0001``, ``ep0002``, ... in a folder; None if there is none.

    A bad one is set aside as ``bad-ep0002``, with a warning, and the one before it is taken.
    """
    candidates = [path for path in folder.glob("ep*") if path.name[2:].isdecimal()]
    for candidate in sorted(candidates, key=lambda path: int(path.name[2:]), reverse=True):
        try:
            verify_checkpoint(candidate)
        except CorruptCheckpoint as error:
            aside = candidate.with_name(f"bad-{candidate.name}")
            shutil.rmtree(aside, ignore_errors=True)
            candidate.replace(aside)
            warnings.warn(f"set aside as {aside}: {error}", stacklevel=2)
        else:
            return candidate
    return None


def _put_back(folder: Path) -> Path:
    """Undo a replacement whose writer was killed between its two renames.

    Returns:
        Where `save_checkpoint` keeps the old checkpoint meanwhile.
    """
    replaced = folder.with_name(f".{folder.name}.replaced")
    if replaced.exists() and not folder.exists():
        replaced.replace(folder)
    return replaced


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
