"""A data set as training and evaluation see it: its splits, and its mean and deviation."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from PIL import Image
from torch import Tensor

from resnet_core.problems import CannotTrain

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""What torchvision's published weights were trained with, on the scale 0 to 1."""


class BadImage(OSError):
    """An image that cannot be decoded.

    Args:
        message: The image's name, what is wrong with it, and the way out.
        name: Of the image: its path, or the split and index it has in a user's source.
    """

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name or message


class BadSample(CannotTrain):
    """A user's source gave something that is no image with its label."""


class ImageDataset(Protocol):
    """Images that are decoded one by one, on demand, by whichever process asks."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Image.Image | Tensor, int]:
        """An RGB image, or uint8 (3, H, W), and its class index; raises `BadImage`."""
        ...


@dataclass(frozen=True)
class Split:
    """Part of a data set, in memory, on the device that trains.

    Attributes:
        images: uint8 (N, 3, H, W), 0 to 255.
        labels: Class indices, int64 (N,).
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class StreamedSplit:
    """Part of a data set whose images, of all sizes, are decoded by loader processes.

    Attributes:
        dataset: The images; forked or pickled into the loader processes.
        on_bad_image: What to do with a `BadImage`: raise it, or skip the image.
    """

    dataset: ImageDataset
    on_bad_image: Literal["error", "skip"] = "error"

    def __len__(self) -> int:
        return len(self.dataset)


@dataclass(frozen=True)
class ImageData:
    """A data set.

    Attributes:
        train: Weights are fitted to it.
        validation: Trials are chosen by it.
        test: For the answer only.
        mean: Of the images' channels, float32 (3, 1, 1), on the scale 0 to 255, on the device.
        std: Likewise, above 0.
        num_classes: Labels are below it.
        device: That trains.
    """

    train: Split | StreamedSplit
    validation: Split | StreamedSplit
    test: Split | StreamedSplit
    mean: Tensor
    std: Tensor
    num_classes: int
    device: torch.device

    def split(self, name: str) -> Split | StreamedSplit:
        """``train``, ``validation`` or ``test``."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def images_alone(
    images: Tensor, *, streamed: bool, mean: Tensor, std: Tensor, num_classes: int
) -> ImageData:
    """Images that belong to no source, as a data set that can be evaluated.

    Args:
        images: uint8 (N, 3, H, W).
        streamed: Whether they are to be treated as a `StreamedSplit`'s.
        mean: Of `ImageData`, on the device that computes.
        std: Likewise.
        num_classes: Of the model.

    Returns:
        With the images, labelled 0, in every split.
    """
    if streamed:
        split = StreamedSplit([(image, 0) for image in images])
    else:
        labels = torch.zeros(len(images), dtype=torch.int64, device=mean.device)
        split = Split(images.to(mean.device), labels)
    return ImageData(split, split, split, mean, std, num_classes, mean.device)
