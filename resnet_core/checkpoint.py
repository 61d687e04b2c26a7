"""Checkpoints: a folder that is whole or not there, checked by digest, read without pickle.

    ep0003/
      model.pt        the model's state, names torchvision's
      optimizer.pt    the optimizer's state, and so on: a file for each state
      manifest.json   epoch, step, metrics, the recipe, and the digests (see `manifest.py`)

Order of data and everything random follow from seed and step (`random_streams`), so no random state
needs saving: training resumed from a checkpoint ends where it would have ended.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import torch

from resnet_core.durable import make_folder, sync_file, sync_folder, temporary_name
from resnet_core.manifest import MANIFEST, CorruptCheckpoint, Manifest, put_back, verify_checkpoint


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

    When this returns it is on the disk: files, folder and the folder's name are synced.

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
    make_folder(folder.parent)
    temporary = temporary_name(folder)
    replaced = put_back(folder)
    for leftover in folder.parent.glob(f".{folder.name}.*"):  # of a writer that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    try:
        sha256 = {
            f"{name}.pt": _write(temporary / f"{name}.pt", state) for name, state in states.items()
        }
        manifest = Manifest(epoch, step, metrics, recipe, sha256, elapsed_seconds)
        with (temporary / MANIFEST).open("w") as file:
            file.write(manifest.to_json())
            sync_file(file)
        sync_folder(temporary)
        if folder.exists():  # a folder cannot be renamed onto another one
            folder.replace(replaced)
        temporary.replace(folder)
        sync_folder(folder.parent)
        shutil.rmtree(replaced, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        put_back(folder)
        raise


def load_checkpoint(folder: Path, device: torch.device) -> tuple[dict[str, Any], Manifest]:
    """Verify a checkpoint and read it.

    Returns:
        The states by name, as `save_checkpoint` was given them, and the manifest.

    Raises:
        CorruptCheckpoint: As `verify_checkpoint`, or if a file holds a program instead of data.
    """
    manifest = verify_checkpoint(folder)
    states = {Path(name).stem: _read(folder / name, device) for name in manifest.sha256}
    return states, manifest


class _Digesting:
    """The file that `torch.save` writes to, which takes the digest on the way.

    torch reports a failed write as a RuntimeError without a number; ``error`` is what it was.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def _write(path: Path, state: Any) -> str:
    """Write a state down to the disk; returns its sha256 in hex, as it was before the disk."""
    with path.open("wb") as file:
        digesting = _Digesting(file)
        try:
            torch.save(state, digesting)  # pyright: ignore[reportArgumentType]  it needs no more
        except RuntimeError as error:
            raise digesting.error or error from None
        sync_file(file)
    return digesting.sha256.hexdigest()


def _read(file: Path, device: torch.device) -> Any:
    try:
        return torch.load(file, map_location=device, weights_only=True)
    except (MemoryError, torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except Exception as error:  # whoever put the digest right, too, may have written any program
        kind = type(error).__name__  # torch's words would advise to load it without the check
        raise CorruptCheckpoint(
            f"{file}: holds something else than tensors and plain values ({kind})"
        ) from error
