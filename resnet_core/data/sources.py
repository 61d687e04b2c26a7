"""From the data section of a recipe to its images.

The split into train, validation and test is fixed: trials are chosen by the validation split, and
the test split is left for the answer.
"""

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from resnet_core.data.cifar import load_cifar
from resnet_core.data.custom import load_custom
from resnet_core.data.dataset import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImageData,
    Split,
    StreamedSplit,
)
from resnet_core.data.digits import load_digits
from resnet_core.data.fake import make_fake
from resnet_core.data.folder import load_folder
from resnet_core.data.packed.source import load_packed
from resnet_core.data.section import (
    CifarConfig,
    CustomConfig,
    DataConfig,
    DigitsConfig,
    FakeConfig,
    ImageFolderConfig,
    PackedConfig,
)
from resnet_core.problems import CannotTrain

_PART = 512  # images


def load_data(config: DataConfig, num_classes: int, device: torch.device) -> ImageData:
    """Load a data set; the latest one is kept, so the next trial finds it in place.

    Args:
        config: The section of the recipe.
        num_classes: Of the model; the fake source makes as many.
        device: That trains. Sources that fit in memory lie on it; encoded images are decoded by
            loader processes and come batch by batch.

    Raises:
        CannotTrain: If the source has another number of classes, a label outside of them, or
            splits that do not fit together.
        OSError: If files are missing, or cannot be downloaded.
        ImportError: If a user's source is not there, or, for digits, scikit-learn.
    """
    return _load(config.model_dump_json(), num_classes, device)


@lru_cache(maxsize=1)
def _load(config_json: str, num_classes: int, device: torch.device) -> ImageData:
    config = DataConfig.model_validate_json(config_json)
    on_bad_image: Literal["error", "skip"] = "error"
    match config.chosen:
        case _, ImageFolderConfig() as settings:
            found, splits = load_folder(settings)
            on_bad_image = settings.on_bad_image
        case _, PackedConfig() as settings:
            found, splits = load_packed(settings)
        case _, CustomConfig() as settings:
            found, splits = load_custom(settings)
            on_bad_image = settings.on_bad_image
        case name, settings:
            splits = _in_memory(name, settings, num_classes)
            return _data_in_memory(name, splits, num_classes, device)
    if found != num_classes:
        raise CannotTrain(
            f"data.{config.chosen[0]} has {found} classes, model.num_classes is {num_classes}; "
            f"write num_classes: {found}"
        )
    mean, std = (_per_channel(values, device) for values in (IMAGENET_MEAN, IMAGENET_STD))
    train, validation, test = (StreamedSplit(split, on_bad_image) for split in splits)
    return ImageData(train, validation, test, mean, std, num_classes, device)


def _in_memory(
    name: str, settings: DigitsConfig | FakeConfig | CifarConfig, num_classes: int
) -> tuple[Split, Split, Split]:
    match settings:
        case DigitsConfig():
            return load_digits()
        case FakeConfig():
            return make_fake(settings, num_classes)
        case CifarConfig():
            return load_cifar(name, settings)


def _data_in_memory(
    name: str, splits: tuple[Split, Split, Split], num_classes: int, device: torch.device
) -> ImageData:
    highest = max(int(split.labels.max()) for split in splits)
    if highest >= num_classes:
        raise CannotTrain(
            f"data.{name} has a label {highest}, model.num_classes is {num_classes}; "
            f"write at least num_classes: {highest + 1}"
        )
    train, validation, test = (
        Split(split.images.to(device), split.labels.to(device)) for split in splits
    )
    mean, std = _mean_and_std(train.images)
    return ImageData(train, validation, test, mean, std.clamp(min=1.0), num_classes, device)


def _mean_and_std(images: Tensor) -> tuple[Tensor, Tensor]:
    """Of the channels; counted in whole numbers, a part at a time: as floats all take fourfold."""
    count = images[:, 0].numel()
    total, squares = torch.zeros(2, 3, dtype=torch.int64, device=images.device)
    for part in images.split(_PART):
        pixels = part.long()
        total += pixels.sum(dim=(0, 2, 3))
        squares += pixels.square().sum(dim=(0, 2, 3))
    mean = total.double() / count
    # count * squares - total^2 would not fit into 64 bits for a million large images.
    variance = squares.double() / count - mean.square()
    std = variance.clamp(min=0).sqrt()
    return mean.float()[:, None, None], std.float()[:, None, None]


def _per_channel(values: tuple[float, float, float], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device).mul(255)[:, None, None]
