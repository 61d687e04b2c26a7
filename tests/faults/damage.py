"""What can happen to the files of a checkpoint, at a place that a random generator draws."""

import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path


def _a_file(checkpoint: Path, moments: random.Random) -> Path:
    return moments.choice(sorted(checkpoint.iterdir()))


def truncate(checkpoint: Path, moments: random.Random) -> None:
    file = _a_file(checkpoint, moments)
    file.write_bytes(file.read_bytes()[: moments.randrange(file.stat().st_size)])


def flip_a_bit(checkpoint: Path, moments: random.Random) -> None:
    _flip_anywhere(_a_file(checkpoint, moments), moments)


def flip_a_bit_of_the_manifest(checkpoint: Path, moments: random.Random) -> None:
    _flip_anywhere(checkpoint / "manifest.json", moments)


def lose_a_file(checkpoint: Path, moments: random.Random) -> None:
    _a_file(checkpoint, moments).unlink()


def mix_epochs(checkpoint: Path, moments: random.Random) -> None:
    """A file of the epoch before, whole in itself."""
    file = _a_file(checkpoint, moments)
    epoch = int(checkpoint.name[2:])
    shutil.copy(checkpoint.with_name(f"ep{epoch - 1:04d}") / file.name, file)


def half_written(checkpoint: Path, moments: random.Random) -> None:
    """As a writer leaves it that was killed: some files, the last one torn, under its own name."""
    files = sorted(checkpoint.glob("*.pt"))
    written = files[: moments.randint(1, len(files))]
    temporary = checkpoint.with_name(f".{checkpoint.name}.4711")
    temporary.mkdir()
    for file in written:
        shutil.copy(file, temporary)
    torn = temporary / written[-1].name
    torn.write_bytes(torn.read_bytes()[: moments.randrange(torn.stat().st_size)])
    shutil.rmtree(checkpoint)


def without_manifest(checkpoint: Path, moments: random.Random) -> None:
    """A folder whose name is there and whose content is not, or not all of it."""
    (checkpoint / "manifest.json").unlink()
    for file in sorted(checkpoint.iterdir())[: moments.randint(0, 2)]:
        file.unlink()


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "checkpoint truncated": truncate,
    "checkpoint bit flipped": flip_a_bit,
    "checkpoint manifest bit flipped": flip_a_bit_of_the_manifest,
    "checkpoint file missing": lose_a_file,
    "checkpoint file of another epoch": mix_epochs,
    "checkpoint half-written": half_written,
    "checkpoint without manifest": without_manifest,
}


def turn_a_weight_around(checkpoint: Path, moments: random.Random) -> None:
    """Flip the sign bit of one weight in ``model.pt``, which `torch.load` takes in silence."""
    file = checkpoint / "model.pt"
    with zipfile.ZipFile(file) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        with archive.open(largest) as entry:
            begin = file.read_bytes().index(entry.read())  # stored, not compressed
    weight = moments.randrange(largest.file_size // 4)  # float32, little-endian
    _flip(file, begin + 4 * weight + 3, 7)


def _flip_anywhere(file: Path, moments: random.Random) -> None:
    content = file.read_bytes()
    _flip(file, moments.randrange(len(content)), moments.randrange(8))
    if _says_the_same(file.read_bytes(), content):
        file.write_bytes(content)
        _flip_anywhere(file, moments)


def _says_the_same(found: bytes, expected: bytes) -> bool:
    """Whether two manifests differ in nothing but how they are written, as 1e-05 and 1E-05 do."""
    try:
        return json.loads(found) == json.loads(expected)
    except ValueError:
        return False


def _flip(file: Path, byte: int, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[byte] ^= 1 << bit
    file.write_bytes(content)
