"""A folder of images as ImageNet's: one folder per split, in it one folder per class."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset

from resnet_core.data.decode import read_image
from resnet_core.data.hold_out import LabelledImages, needed_splits, shared_out
from resnet_core.data.section import ImageFolderConfig
from resnet_core.problems import CannotTrain

_NUM_NAMED = 5  # in a message
_MAX_SIZES = 10_000


class FolderImages(LabelledImages):
    """Files and their classes; an `ImageDataset`.

    Args:
        root: Folder that the paths are relative to.
        paths: Bytes (N,), as `os.fsencode` gives them.
        labels: Class indices, int64 (N,).
    """

    # Arrays instead of lists of str: loader processes would copy every page that holds one of a
    # million strings as soon as they count a reference to it.
    def __init__(self, root: str, paths: np.ndarray, labels: np.ndarray) -> None:
        self._root = root
        self._paths = paths
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return read_image(self.path(index)), int(self.labels[index])

    def path(self, index: int) -> str:
        """Of the file of an image."""
        return os.path.join(self._root, os.fsdecode(self._paths[index]))  # noqa: PTH118

    def part(self, chosen: np.ndarray | slice) -> "FolderImages":
        """The images at which ``chosen``, bool (N,), is true, or a slice of them."""
        return FolderImages(self._root, self._paths[chosen], self.labels[chosen])

    def listing(self) -> Iterator[bytes]:
        """Every relative path and label."""
        yield self._paths.tobytes()
        yield self.labels.tobytes()

    def fingerprint(self) -> Iterator[bytes]:
        """Every relative path and label; sizes of files spread evenly, -1 of one that is gone.

        Asking a network for the sizes of a million files takes minutes, for ten thousand a second.
        """
        yield from self.listing()
        step = -(-len(self._paths) // _MAX_SIZES)
        for path in self._paths[::step]:
            try:
                size = Path(self._root, os.fsdecode(path)).stat().st_size
            except FileNotFoundError:
                size = -1
            yield b"%d " % size


def load_folder(config: ImageFolderConfig) -> tuple[int, list[FolderImages]]:
    """List the files; none is opened.

    Classes are numbered by name, as torchvision's `ImageFolder` does.

    Args:
        config: With a validation_ratio of 0, validation is val/ and test is test/, or val/ too if
            there is none. Otherwise a share of train/ is validation, and test is test/ if there is
            one, else val/.

    Returns:
        The number of classes, and train, validation and test.

    Raises:
        FileNotFoundError: If a folder is missing or holds no image; names it.
        CannotTrain: If the classes of val/ or test/ are not those of train/, or validation_ratio
            holds out no image.
    """
    root = Path(config.path).expanduser()
    names = needed_splits(config.validation_ratio, has_test=(root / "test").is_dir())
    classes, found = list_splits(root, names)
    return len(classes), shared_out(found, config.validation_ratio, root, "image_folder")


def list_splits(root: Path, names: list[str]) -> tuple[list[str], dict[str, FolderImages]]:
    """The names of the classes, and the files of each split.

    Args:
        root: Holds the splits' folders.
        names: Of the splits, train first.

    Raises:
        FileNotFoundError: As `load_folder`.
        CannotTrain: If the classes of another split are not those of train/.
    """
    classes = _classes(root / "train")
    for name in names[1:]:
        _check_classes(root, name, classes)
    return list(classes), {name: _list(root / name, classes) for name in names}


def _classes(folder: Path) -> dict[str, int]:
    try:
        return find_classes(folder)[1]
    except FileNotFoundError as error:
        why = "holds no folder per class" if folder.is_dir() else "is not there"
        raise FileNotFoundError(
            f"{folder} {why}; data.image_folder.path needs train/CLASS/*.jpg and val/CLASS/*.jpg"
        ) from error


def _check_classes(root: Path, name: str, classes: dict[str, int]) -> None:
    own = _classes(root / name)
    for word, wrong in (("lacks", classes.keys() - own), ("adds", own.keys() - classes)):
        if wrong:
            raise CannotTrain(
                f"{root / name} {word} classes: {_some(wrong)}; it needs the same folders as "
                f"{root / 'train'}"
            )


def _list(folder: Path, classes: dict[str, int]) -> FolderImages:
    samples = make_dataset(folder, classes, extensions=IMG_EXTENSIONS, allow_empty=True)
    labels = np.array([label for _, label in samples], dtype=np.int64)
    counts = np.bincount(labels, minlength=len(classes))
    empty = [name for name, label in classes.items() if counts[label] == 0]
    if empty:
        raise FileNotFoundError(
            f"{folder} holds no image of classes: {_some(empty)}; add some or remove the folders "
            f"(images end in {', '.join(IMG_EXTENSIONS)})"
        )
    start = len(os.path.join(folder, ""))  # noqa: PTH118
    paths = np.array([os.fsencode(path[start:]) for path, _ in samples])
    return FolderImages(str(folder), paths, labels)


def _some(names: "set[str] | list[str]") -> str:
    shown = ", ".join(sorted(names)[:_NUM_NAMED])
    rest = len(names) - _NUM_NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown
