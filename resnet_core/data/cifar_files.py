"""CIFAR's published files: verified by digest, extracted one by one, read without running them.

The batches are pickles of Python 2, and a pickle is a program: whoever brings the files decides
what it does, and md5 only tells damage from the published bytes. So they are read by an unpickler
that makes numpy arrays and refuses everything else.
"""

import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import check_integrity, download_url

_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # pyright: ignore[reportAttributeAccessIssue]
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
"""What the published files name, by the names of their time."""


class NotThere(OSError):
    """A file is missing, or is not the published one."""


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it wants {module}.{name}")
        return _ALLOWED[module, name]


def read_batches(facts: type[CIFAR10], root: Path, *, train: bool) -> list[dict[str, Any]]:
    """The batches of a split: ``data``, uint8 (N, 3072), and ``labels`` or ``fine_labels``.

    Args:
        facts: torchvision's class, for names and digests.
        root: Where the extracted folder lies.
        train: The training images or the test's.

    Raises:
        NotThere: If a file is missing, or is not the published one.
        OSError: If a file holds more than arrays; no published one does.
    """
    folder = root / facts.base_folder
    files = facts.train_list if train else facts.test_list
    return [_read(folder / name, md5) for name, md5 in files]


def _read(file: Path, md5: str) -> dict[str, Any]:
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotThere(f"{file} is not there") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise NotThere(f"{file} is not the published file")
    try:
        return _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
    except MemoryError:
        raise
    except Exception as error:  # a pickle may raise anything
        raise OSError(f"{file} holds more than arrays of images and labels: {error}") from error


def bring(facts: type[CIFAR10], root: Path) -> None:
    """Download the archive, unless it is there, and extract what is read of it.

    Does nothing if another process has done it meanwhile. No name in the archive decides where
    anything is written.

    Raises:
        OSError, RuntimeError, http.client.HTTPException: If it cannot be had, or is not the
            published one.
    """
    folder, files = root / facts.base_folder, [*facts.train_list, *facts.test_list]
    if all(check_integrity(folder / name, md5) for name, md5 in files):
        return
    download_url(facts.url, root, facts.filename, facts.tgz_md5)
    folder.mkdir(exist_ok=True)
    try:
        with tarfile.open(root / facts.filename, "r:gz") as archive:
            for name, _ in files:
                _extract(archive, f"{facts.base_folder}/{name}", folder / name)
    except (tarfile.TarError, EOFError) as error:
        raise OSError(f"the archive cannot be read: {error}") from error


def _extract(archive: tarfile.TarFile, name: str, target: Path) -> None:
    members = [member for member in archive.getmembers() if member.name == name]
    if len(members) != 1 or not members[0].isreg():
        raise OSError(f"the archive must hold {name} once, as a regular file")
    content = archive.extractfile(members[0])
    assert content is not None  # it is a regular file
    temporary = target.with_name(f".{target.name}.part")
    temporary.write_bytes(content.read())
    temporary.replace(target)
