"""Files and folders that outlast a loss of power, and are whole or not there; needs no torch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def sync_file(file: IO[Any]) -> None:
    """Wait until what was written to an open file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, where they are missing, durably."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def temporary_name(path: Path) -> Path:
    """Where this process writes a file or a folder before it gets its name."""
    return path.with_name(f".{path.name}.{os.getpid()}")


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of another in one step, on the disk, at the end.

    Raises:
        OSError: If it cannot be written; nothing half-written stays behind, nor does it if the
            block raises.
    """
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as file:
            yield file
            sync_file(file)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file in one step; on the disk when this returns.

    Raises:
        OSError: If it cannot be written; nothing half-written stays behind.
    """
    with replacing(path) as file:
        file.write(content)
