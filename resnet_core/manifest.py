"""What a checkpoint is about, and whether it still is what was saved; needs no torch.

``manifest.json`` holds a digest of each state file, of the recipe and of itself, so that a flipped
bit is found wherever it lies: `torch.load` takes most of them in silence.
"""

import hashlib
import json
import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORMAT = 3
MANIFEST = "manifest.json"

_EPOCH = re.compile(r"ep\d+")
_STATE_FILE = re.compile(r"[a-z_]+\.pt")  # a manifest names no file outside its folder
_TYPES = {"epoch": int, "step": int, "metrics": dict, "recipe": dict, "sha256": dict}


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

    def to_json(self) -> str:
        """With ``recipe_sha256``, which is `Recipe.digest`, and ``manifest_sha256`` of the rest."""
        content = {**asdict(self), "recipe_sha256": _digest(self.recipe)}
        return json.dumps({**content, "manifest_sha256": _digest(content)}, indent=1)


def read_manifest(folder: Path) -> Manifest:
    """Read what a checkpoint is about, without its states.

    Raises:
        CorruptCheckpoint: If it cannot be read, or is not what was saved.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text())
        if content.get("format") != FORMAT:
            raise ValueError(f"format {content.get('format')}, this version reads {FORMAT}")
        if content.pop("manifest_sha256", None) != _digest(content):
            raise ValueError("its sha256 is not the one it states")
        if content.pop("recipe_sha256", None) != _digest(content.get("recipe")):
            raise ValueError("its recipe is not the one whose sha256 it states")
        manifest = Manifest(**content)
        for name, kind in _TYPES.items():
            if not isinstance(content[name], kind):
                raise TypeError(f"{name} is no {kind.__name__}")
        if "model.pt" not in manifest.sha256 or not all(
            map(_STATE_FILE.fullmatch, manifest.sha256)
        ):
            raise ValueError("sha256 must name model.pt, and files of the folder alone")
        return manifest
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptCheckpoint(f"{folder / MANIFEST}: {error}") from error


def verify_checkpoint(folder: Path) -> Manifest:
    """Check every file against the manifest.

    Raises:
        CorruptCheckpoint: If a file is missing or its digest differs, or another version wrote it.
    """
    put_back(folder)
    manifest = read_manifest(folder)
    for name, digest in manifest.sha256.items():
        try:
            found = file_sha256(folder / name)
        except OSError as error:
            raise CorruptCheckpoint(f"{folder / name}: {error.strerror}") from error
        if found != digest:
            raise CorruptCheckpoint(f"{folder / name}: its sha256 is not the manifest's")
    return manifest


def newest_checkpoint(folder: Path, say: Callable[[str], object] = warnings.warn) -> Path | None:
    """The newest good checkpoint ``ep0001``, ``ep0002``, ... in a folder; None if there is none.

    A bad one is set aside as ``bad-ep0002``, and the one before it is taken. What a writer that was
    killed left half-written is removed, so only who is going to write there may ask.

    Args:
        folder: Where they lie.
        say: Told of each one that is set aside.

    Raises:
        OSError: If a bad one cannot be set aside.
    """
    for unfinished in folder.glob(".ep*.*"):
        put_back(folder / unfinished.name.split(".")[1])
        shutil.rmtree(unfinished, ignore_errors=True)
    candidates = [path for path in folder.glob("ep*") if _EPOCH.fullmatch(path.name)]
    for candidate in sorted(candidates, key=lambda path: int(path.name[2:]), reverse=True):
        try:
            verify_checkpoint(candidate)
        except CorruptCheckpoint as error:
            set_aside(candidate, error, say)
        else:
            return candidate
    return None


def set_aside(folder: Path, error: CorruptCheckpoint, say: Callable[[str], object]) -> None:
    """Rename a bad checkpoint ``ep0002`` to ``bad-ep0002``, where nobody goes on from it.

    Raises:
        OSError: If it cannot be renamed.
    """
    aside = folder.with_name(f"bad-{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    folder.replace(aside)
    say(f"checkpoint {folder.name} is damaged and was set aside as {aside}: {error}")


def put_back(folder: Path) -> Path:
    """Undo a replacement whose writer was killed between its two renames.

    Returns:
        Where `save_checkpoint` keeps the old checkpoint meanwhile.
    """
    replaced = folder.with_name(f".{folder.name}.replaced")
    if replaced.exists() and not folder.exists():
        replaced.replace(folder)
    return replaced


def _digest(data: Any) -> str:
    """Of plain data, however it was written."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def file_sha256(file: Path) -> str:
    """Of what is in it, in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
