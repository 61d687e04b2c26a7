'''A user's own images, without a change here.

``data: {custom: {entry: "flowers:Flowers", options: {path: /data/flowers}}}`` calls
``Flowers(path="/data/flowers")`` from an importable ``flowers.py``::

    class Flowers:
        """Petals by species."""

        num_classes = 102

        def __init__(self, path):
            self._path = Path(path)

        def split(self, name):  # "train", "validation" or "test"
            return FlowerSplit(self._path / name)

What `split` returns has `__len__`, and `__getitem__(index)` that gives an image and its label: a
`PIL.Image.Image`, or a uint8 tensor (3, H, W), and an int in [0, num_classes). It is forked or
pickled into loader processes, which may ask for images in any order.
'''

import importlib
import inspect
import operator
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from resnet_core.data.dataset import BadImage, BadSample
from resnet_core.data.decode import is_decoding_error, to_rgb
from resnet_core.data.section import CustomConfig
from resnet_core.problems import CannotTrain


class CustomImages:
    """A user's split, checked image by image; an `ImageDataset`.

    Args:
        images: The user's.
        name: Of the split, for messages.
        num_classes: Labels are below it.
    """

    def __init__(self, images: Any, name: str, num_classes: int) -> None:
        self._images = images
        self._name = name
        self._num_classes = num_classes

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Image.Image | Tensor, int]:
        name = f"{self._name}[{index}]"
        try:
            sample = self._images[index]
        except (OSError, Image.DecompressionBombError) as error:
            if not is_decoding_error(error):
                raise  # of the operating system: no image is to blame
            raise BadImage(f"{name}: {error}", name) from error
        if not isinstance(sample, tuple | list) or len(sample) != 2:
            raise BadSample(f"{name}: must be an image and its label, got {_kind(sample)}")
        image, label = sample
        return self._image(image, name), self._label(label, name)

    def _image(self, image: Any, name: str) -> Image.Image | Tensor:
        if isinstance(image, Image.Image):
            return to_rgb(image, name)
        if (
            isinstance(image, Tensor)
            and (image.dtype, image.ndim, image.shape[:1]) == (torch.uint8, 3, (3,))
            and image.numel()
        ):
            return image
        raise BadSample(
            f"{name}: an image is a PIL.Image.Image or a uint8 tensor (3, H, W), got {_kind(image)}"
        )

    def _label(self, label: Any, name: str) -> int:
        try:
            index = operator.index(label)
        except TypeError:
            raise BadSample(f"{name}: a label is an int, got {_kind(label)}") from None
        if not 0 <= index < self._num_classes:
            raise BadSample(
                f"{name}: a label is from 0 to num_classes - 1 = {self._num_classes - 1}, "
                f"got {index}"
            )
        return index


def load_custom(config: CustomConfig) -> tuple[int, list[CustomImages]]:
    """Import the class, call it, and ask it for its splits.

    Returns:
        The number of classes, and train, validation and test.

    Raises:
        ImportError: If the module or the class is not there.
        CannotTrain: If the options do not fit it, or what it has is not what the module's
            docstring asks for.
    """
    source, entry = _instance(config), config.entry
    num_classes = getattr(source, "num_classes", None)
    if not isinstance(num_classes, int) or num_classes < 1:
        raise CannotTrain(f"{entry} needs num_classes, an int from 1, got {num_classes!r}")
    if not callable(getattr(source, "split", None)):
        raise CannotTrain(
            f'{entry} needs a method split(name) for "train", "validation" and "test"'
        )
    splits = []
    for name in ("train", "validation", "test"):
        images = source.split(name)
        if not (hasattr(images, "__len__") and hasattr(images, "__getitem__")):
            raise CannotTrain(
                f'{entry}: split("{name}") needs __len__ and __getitem__, got {_kind(images)}'
            )
        if len(images) == 0:
            raise CannotTrain(f'{entry}: split("{name}") holds no image')
        splits.append(CustomImages(images, f"{entry} {name}", num_classes))
    return num_classes, splits


def _instance(config: CustomConfig) -> Any:
    module_name, _, class_name = config.entry.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there; something that it imports is not
        raise ModuleNotFoundError(
            f"data.custom.entry {config.entry}: there is no module {error.name}; install it, or "
            "put the folder that holds it on PYTHONPATH",
            name=error.name,
        ) from error
    factory = getattr(module, class_name, None)
    if not callable(factory):
        raise ImportError(
            f"data.custom.entry {config.entry}: {module.__file__} has no class {class_name}"
        )
    try:
        inspect.signature(factory).bind(**config.options)
    except (TypeError, ValueError) as error:  # ValueError: it is no class that has a signature
        raise CannotTrain(f"data.custom.options do not fit {config.entry}: {error}") from error
    return factory(**config.options)


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor {tuple(value.shape)}"
    return type(value).__name__
