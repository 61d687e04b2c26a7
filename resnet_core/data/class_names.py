"""What the classes are called, for those who use the trained model."""

from pathlib import Path

from torchvision.datasets.folder import find_classes

from resnet_core.data.packed.layout import read_pack_manifest
from resnet_core.data.section import DataConfig, ImageFolderConfig, PackedConfig


def class_names(config: DataConfig) -> list[str] | None:
    """The names of classes 0 to K - 1; None where the source has none.

    Args:
        config: The section of the recipe; a folder must be there.

    Raises:
        FileNotFoundError: If the folder is not.
    """
    match config.chosen:
        case "digits", _:
            return [str(digit) for digit in range(10)]
        case "cifar10", _:
            return [
                "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
                "truck",
            ]  # fmt: skip
        case _, ImageFolderConfig() as settings:
            return find_classes(Path(settings.path).expanduser() / "train")[0]
        case _, PackedConfig() as settings:
            return list(read_pack_manifest(Path(settings.path).expanduser()).class_names)
    return None
