"""The data section of a recipe, and the images it names; reading the section needs no torch.

Every source is small enough to stay in memory, on the device that trains, as uint8. The split into
train, validation and test is fixed: trials are chosen by the validation split, and the test split
is left for the answer.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from resnet_core.strict import OneOf, StrictModel

if TYPE_CHECKING:
    import torch
    from torch import Tensor

NUM_DIGIT_CLASSES = 10
_FAKE_SEED = 20_100


class SourceConfig(StrictModel):
    """What every source has: how its training images are augmented."""

    max_shift_px: int = Field(
        default=0, ge=0, le=4, description="Training images move by up to this, each way."
    )


class DigitsConfig(SourceConfig):
    """1,797 real handwritten digits, 8x8 pixels, 10 classes, from scikit-learn."""


class FakeConfig(SourceConfig):
    """Made-up images, the same ones each time: noise around a pattern of the class."""

    num_train: int = Field(default=1024, ge=1)
    num_evaluation: int = Field(default=256, ge=1, description="Validation, and test, each.")
    image_size_px: int = Field(default=32, ge=1, le=1024)


class DataConfig(OneOf):
    """The data section of a recipe: one source."""

    digits: DigitsConfig | None = None
    fake: FakeConfig | None = None

    @property
    def settings(self) -> SourceConfig:
        """The chosen source's values."""
        return self.chosen[1]

    @property
    def num_classes(self) -> int | None:
        """Classes that the source has; None if it makes as many as the model asks for."""
        return NUM_DIGIT_CLASSES if self.digits is not None else None

    @property
    def num_train(self) -> int:
        """Images in the training split."""
        if self.fake is not None:
            return self.fake.num_train
        return _NUM_DIGITS["train"]


@dataclass(frozen=True)
class Split:
    """Part of a data set.

    Attributes:
        images: uint8 (N, 3, H, W), 0 to 255.
        labels: Class indices, int64 (N,).
    """

    images: "Tensor"
    labels: "Tensor"

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ImageData:
    """A data set in memory.

    Attributes:
        train: Weights are fitted to it.
        validation: Trials are chosen by it.
        test: For the answer only.
        mean: Of the training images' channels, float32 (3, 1, 1), on the scale 0 to 255.
        std: Likewise.
    """

    train: Split
    validation: Split
    test: Split
    mean: "Tensor"
    std: "Tensor"

    def split(self, name: str) -> Split:
        """``train``, ``validation`` or ``test``."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def load_data(config: DataConfig, num_classes: int, device: "torch.device") -> ImageData:
    """Load a data set onto a device; the latest one is kept, so the next trial finds it there.

    Args:
        config: The section of the recipe.
        num_classes: Classes that the fake source makes.
        device: Where all tensors of the result live.

    Raises:
        ModuleNotFoundError: For digits, if scikit-learn is not installed.
    """
    return _load(config.model_dump_json(), num_classes, device)


@lru_cache(maxsize=1)
def _load(config_json: str, num_classes: int, device: "torch.device") -> ImageData:
    config = DataConfig.model_validate_json(config_json)
    splits = _digits() if config.fake is None else _fake(config.fake, num_classes)
    train, validation, test = (
        Split(split.images.to(device), split.labels.to(device)) for split in splits
    )
    pixels = train.images.float()
    mean, std = (
        pixels.mean(dim=(0, 2, 3))[:, None, None],
        pixels.std(dim=(0, 2, 3), correction=0)[:, None, None],
    )
    return ImageData(train, validation, test, mean, std.clamp(min=1.0))


_NUM_DIGITS = {"train": 1204, "validation": 297, "test": 296}
"""1,797 images, of each class the 5th of every six for validation and the 6th for testing."""


def _digits() -> list[Split]:
    import torch

    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the digits come with scikit-learn; install it, or 'resnet-sweeps[sweeps]'"
        ) from error
    digits: Any = load_digits()
    grey = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8)
    images, labels = grey[:, None].expand(-1, 3, -1, -1), torch.from_numpy(digits.target).long()
    # The order is the writers': counting within each class deals every writer and class out alike.
    turn = torch.empty_like(labels)
    for label in range(NUM_DIGIT_CLASSES):
        is_label = labels == label
        turn[is_label] = torch.arange(int(is_label.sum())) % 6
    parts = [turn < 4, turn == 4, turn == 5]
    return [Split(images[part].contiguous(), labels[part].contiguous()) for part in parts]


def _fake(config: FakeConfig, num_classes: int) -> list[Split]:
    import torch

    generator = torch.Generator().manual_seed(_FAKE_SEED)
    size = config.image_size_px
    patterns = torch.rand(num_classes, 3, 4, 4, generator=generator)
    splits = []
    for count in (config.num_train, config.num_evaluation, config.num_evaluation):
        labels = torch.randint(num_classes, (count,), generator=generator)
        pattern = torch.nn.functional.interpolate(patterns[labels], size=(size, size))
        noise = torch.rand(count, 3, size, size, generator=generator)
        splits.append(Split((127.5 * (pattern + noise)).to(torch.uint8), labels))
    return splits
