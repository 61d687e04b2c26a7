"""Which images are for training, for validation and for testing."""

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np

from resnet_core.problems import CannotTrain
from resnet_core.random_streams import Stream

# Not the recipe's: trials that differ in seed are compared on the same images.
_SEED = 20_200


def held_out(labels: np.ndarray, validation_ratio: float) -> np.ndarray:
    """Choose the same share of each class, at random but always the same images.

    Args:
        labels: Class indices, int (N,).
        validation_ratio: In (0, 1). round(N * validation_ratio) images are held out; where a
            class's share is no whole number, those with the largest remainders get one more.

    Returns:
        bool (N,), true for the images held out.

    Raises:
        CannotTrain: If no image would be held out, or none left to train on.
    """
    total = round(len(labels) * validation_ratio)
    if not 0 < total < len(labels):
        raise CannotTrain(
            f"validation_ratio {validation_ratio} of {len(labels)} training images holds out "
            f"{total}; choose it so that at least one is held out and one left"
        )
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    # Fractions of what was written: in floats 100 * 0.29 is below 29.
    shares = [Fraction(repr(validation_ratio)) * int(count) for count in counts]
    quotas = np.array([int(share) for share in shares])
    by_remainder = sorted(range(len(shares)), key=lambda label: quotas[label] - shares[label])
    for label in by_remainder[: total - quotas.sum()]:
        quotas[label] += 1
    # A number for each image; a `SeedSequence` gives the same ones in every version of numpy.
    keys = np.random.SeedSequence([_SEED, Stream.HOLD_OUT]).generate_state(len(labels), np.uint64)
    chosen = np.zeros(len(labels), dtype=bool)
    for label, quota in enumerate(quotas):
        members = np.flatnonzero(classes == label)
        chosen[members[np.argsort(keys[members])[:quota]]] = True
    return chosen


def needed_splits(validation_ratio: float, *, has_test: bool) -> list[str]:
    """Folders that train, validation and test are taken from, as `load_folder` says."""
    if not has_test:
        return ["train", "val"]
    return ["train", "val", "test"] if validation_ratio == 0 else ["train", "test"]


class LabelledImages(Protocol):
    """Part of a data set that can be parted again.

    Attributes:
        labels: Class indices, int64 (N,).
    """

    labels: np.ndarray

    def part(self, chosen: np.ndarray, /) -> Self:
        """The images at which ``chosen``, bool (N,), is true."""
        ...


Images = TypeVar("Images", bound=LabelledImages)


def shared_out(
    found: dict[str, Images], validation_ratio: float, root: Path, source: str
) -> list[Images]:
    """Train, validation and test.

    Args:
        found: The folders that `needed_splits` names.
        validation_ratio: Of `ImageFolderConfig`.
        root: For messages.
        source: Its key in the data section, likewise.

    Raises:
        CannotTrain: If validation_ratio holds out no image.
    """
    train, test = found["train"], found["test" if "test" in found else "val"]
    if validation_ratio:
        out = held_out(train.labels, validation_ratio)
        return [train.part(~out), train.part(out), test]
    if "test" not in found:
        warnings.warn(
            f"{root} has no test/, so val/ is both what trials are chosen by and the answer; "
            f"set data.{source}.validation_ratio to choose by a share of train/",
            stacklevel=3,
        )
    return [train, found["val"], test]
