"""The data section of a recipe: where the images come from; needs no torch."""

from typing import Any, Literal

from pydantic import Field, field_validator

from resnet_core.credentials import is_name_of_secret
from resnet_core.strict import OneOf, StrictModel

NUM_DIGITS = {"train": 1204, "validation": 297, "test": 296}
"""1,797 images, of each class the 5th of every six for validation and the 6th for testing."""

FOLDER_SIZE_PX = 224
"""Images of a folder (or of a user's source) have all sizes; this is what they get by default."""


class SourceConfig(StrictModel):
    """What sources that stay in memory have: how their training images are augmented."""

    max_shift_px: int = Field(
        default=0, ge=0, le=4, description="Training images move by up to this, each way."
    )
    horizontal_flip: bool = Field(default=False, description="Mirror every other image at random.")


class DigitsConfig(SourceConfig):
    """1,797 real handwritten digits, 8x8 pixels, 10 classes, from scikit-learn."""


class FakeConfig(SourceConfig):
    """Made-up images, the same ones each time: noise around a pattern of the class."""

    num_train: int = Field(default=1024, ge=1)
    num_evaluation: int = Field(default=256, ge=1, description="Validation, and test, each.")
    image_size_px: int = Field(default=32, ge=1, le=1024)


class CifarConfig(SourceConfig):
    """CIFAR-10 or CIFAR-100: 50,000 + 10,000 images of 32x32 pixels, downloaded once."""

    root: str = Field(
        default="~/.cache/resnet_core", description="Folder that holds (or gets) the archive."
    )
    validation_ratio: float = Field(
        default=0.1, ge=0, lt=1,
        description="Share of the training images held out; 0 validates on the test images.",
    )  # fmt: skip


class BadImageConfig(StrictModel):
    """What sources of encoded images have."""

    on_bad_image: Literal["error", "skip"] = Field(
        default="error",
        description="skip: another image takes its place in training; evaluation leaves it out.",
    )


class ImageFolderConfig(BadImageConfig):
    """A folder as ImageNet's: train/CLASS/*.jpg and val/CLASS/*.jpg, perhaps test/CLASS/*.jpg."""

    path: str = Field(min_length=1)
    validation_ratio: float = Field(
        default=0.0, ge=0, lt=1,
        description="Share of train held out to choose by, so that val is left for the answer.",
    )  # fmt: skip


class PackedConfig(StrictModel):
    """A folder that `sweeps pack` made of a folder of images."""

    path: str = Field(min_length=1)
    validation_ratio: float = Field(
        default=0.0, ge=0, lt=1, description="As of an image_folder; holds out the same images."
    )


class CustomConfig(BadImageConfig):
    """A user's own source; see `resnet_core.data.custom`."""

    entry: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="module:Class, importable."
    )
    options: dict[str, Any] = Field(default={}, description="Keyword arguments of the class.")

    @field_validator("options")
    @classmethod
    def _refuse_secret_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        for name, value in options.items():
            if isinstance(value, str) and is_name_of_secret(name):
                raise ValueError(
                    f"{name} looks like a secret, and a file is no place for one: let the class "
                    "read it from a variable of the environment, or from a file that is named here"
                )
        return options


class DataConfig(OneOf):
    """The data section of a recipe: one source."""

    digits: DigitsConfig | None = None
    fake: FakeConfig | None = None
    cifar10: CifarConfig | None = None
    cifar100: CifarConfig | None = None
    image_folder: ImageFolderConfig | None = None
    packed: PackedConfig | None = None
    custom: CustomConfig | None = None

    @property
    def num_classes(self) -> int | None:
        """Classes that the source has; None if only its files tell, or it makes what is asked."""
        return {"digits": 10, "cifar10": 10, "cifar100": 100}.get(self.chosen[0])

    @property
    def num_train(self) -> int | None:
        """Images in the training split; None if only its files tell."""
        match self.chosen:
            case "digits", _:
                return NUM_DIGITS["train"]
            case "fake", FakeConfig() as fake:
                return fake.num_train
            case _, CifarConfig() as cifar:
                return 50_000 - round(50_000 * cifar.validation_ratio)
        return None

    @property
    def num_validation(self) -> int | None:
        """Images in the validation split; None if only its files tell."""
        match self.chosen:
            case "digits", _:
                return NUM_DIGITS["validation"]
            case "fake", FakeConfig() as fake:
                return fake.num_evaluation
            case _, CifarConfig() as cifar if cifar.validation_ratio > 0:
                return round(50_000 * cifar.validation_ratio)
        return None

    @property
    def image_size_px(self) -> int:
        """Side of the images where the recipe names no resolution."""
        name, settings = self.chosen
        own = {"digits": 8, "cifar10": 32, "cifar100": 32}
        if isinstance(settings, FakeConfig):
            return settings.image_size_px
        return own.get(name, FOLDER_SIZE_PX)
