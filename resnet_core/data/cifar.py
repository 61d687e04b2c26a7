"""CIFAR-10 and CIFAR-100, downloaded once by one process, and in memory once per machine."""

import fcntl
import http.client
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import CIFAR10, CIFAR100

from resnet_core.data.cifar_files import NotThere, bring, read_batches
from resnet_core.data.dataset import Split
from resnet_core.data.hold_out import held_out
from resnet_core.data.section import CifarConfig
from resnet_core.data.shared_splits import map_splits, write_splits

_DATASETS: dict[str, type[CIFAR10]] = {"cifar10": CIFAR10, "cifar100": CIFAR100}


def load_cifar(name: str, config: CifarConfig) -> tuple[Split, Split, Split]:
    """Train, validation and test, on the CPU; downloads the archive if it is not there.

    Several processes may call this at once: one downloads, the others wait for it. Archive and
    extracted files are checked against torchvision's md5 sums, and read as arrays alone. Beside
    them the splits are left as files that every process maps (`shared_splits`); in a folder that
    may not be written each process has its own.

    Args:
        name: cifar10 or cifar100.
        config: Where the archive is, and how much is held out for validation.

    Returns:
        Images, uint8 (N, 3, 32, 32), and labels. With a validation_ratio of 0, validation is test.

    Raises:
        OSError: If the archive is neither there nor to be had, or damaged; names the file to
            bring and the folder. Also if a file holds more than arrays.
        ValueError: If validation_ratio holds out no image.

    Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """
    dataset, root = _DATASETS[name], Path(config.root).expanduser()
    arrays = root / f"{dataset.base_folder}-splits-{config.validation_ratio!r}"
    found = map_splits(arrays)
    if found is not None:
        return found
    splits = _read_splits(dataset, root, name, config)
    with suppress(OSError), _locked(_lock_of(dataset, root)):
        if map_splits(arrays) is None:
            write_splits(arrays, splits)
    return map_splits(arrays) or splits


def _read_splits(
    dataset: type[CIFAR10], root: Path, name: str, config: CifarConfig
) -> tuple[Split, Split, Split]:
    try:
        # Without the lock, so that a folder that others prepared may be read-only.
        train, test = (_read(dataset, root, train=train) for train in (True, False))
    except NotThere:
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"data.{name}.root: {root} cannot be made ({error.strerror}); name another folder"
            ) from error
        with _locked(_lock_of(dataset, root)):
            _bring(dataset, root)
        train, test = (_read(dataset, root, train=train) for train in (True, False))
    if config.validation_ratio == 0:
        return train, test, test
    out = torch.from_numpy(held_out(train.labels.numpy(), config.validation_ratio))
    validation = Split(train.images[out], train.labels[out])
    return Split(train.images[~out], train.labels[~out]), validation, test


def _lock_of(dataset: type[CIFAR10], root: Path) -> Path:
    return root / f"{dataset.filename}.lock"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, and if we are killed
        yield


def _bring(dataset: type[CIFAR10], root: Path) -> None:
    try:
        bring(dataset, root)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise OSError(
            f"{dataset.filename} is not in {root}, or damaged, and downloading it failed: "
            f"{error}; bring the file from {dataset.url} (md5 {dataset.tgz_md5}) into {root}"
        ) from error


def _read(dataset: type[CIFAR10], root: Path, *, train: bool) -> Split:
    batches = read_batches(dataset, root, train=train)
    images = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    key = "labels" if "labels" in batches[0] else "fine_labels"
    labels = [label for batch in batches for label in batch[key]]
    return Split(torch.from_numpy(images), torch.tensor(labels))
