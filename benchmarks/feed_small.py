"""Small images to a training batch: resident on the device, against `torch.utils.data.DataLoader`.

Every way delivers normalised float batches of the same made-up images of CIFAR's size, shuffled,
in this process; all but the last shift them by up to four pixels and mirror every other one.
"""

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms
from torchvision.transforms import v2

from resnet_core import Recipe
from resnet_core.data.dataset import ImageData, Split
from resnet_core.data.loader import TrainLoader
from resnet_core.data.sources import load_data
from resnet_core.evaluate import named_data
from resnet_core.train_batch import Preparation

BATCH, PX, SHIFT_PX, NUM_IMAGES = 128, 32, 4, 8192
OURS = "resident"
CPU = torch.device("cpu")


class _Transformed(Dataset[tuple[Tensor, int]]):
    def __init__(self, images: list[object], labels: list[int], transform: Callable) -> None:
        self._images, self._labels, self._transform = images, labels, transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(self._images[index]), self._labels[index]


def small_ways() -> dict[str, Callable[[], None]]:
    """Each delivers every image of an epoch once; a name, and what does it."""
    recipe = Recipe.model_validate(
        {
            "model": {"name": "resnet_20", "num_classes": 10},
            "optimizer": {"sgd": {"learning_rate": 0.01}},
            "train_batch_size": BATCH,
            "max_duration": "1ep",
            "data": {
                "fake": {
                    "num_train": NUM_IMAGES,
                    "image_size_px": PX,
                    "max_shift_px": SHIFT_PX,
                    "horizontal_flip": True,
                }
            },
        }
    )
    data = load_data(named_data(recipe), 10, CPU)
    assert isinstance(data.train, Split)
    mean, std = ((values.flatten() / 255).tolist() for values in (data.mean, data.std))
    labels = data.train.labels.tolist()
    pil = transforms.Compose(
        [transforms.RandomCrop(PX, padding=SHIFT_PX), transforms.RandomHorizontalFlip(),
         transforms.ToTensor(), transforms.Normalize(mean, std)]
    )  # fmt: skip
    tensors = v2.Compose(
        [v2.RandomCrop(PX, padding=SHIFT_PX), v2.RandomHorizontalFlip(),
         v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
    )  # fmt: skip
    arrays = data.train.images.permute(0, 2, 3, 1).numpy()
    plain = data.train.images.float().sub_(data.mean).div_(data.std)
    return {
        OURS: _resident(recipe, data),
        "DataLoader, PIL": _loader(_Transformed([Image.fromarray(a) for a in arrays], labels, pil)),
        "DataLoader, tensors": _loader(_Transformed(list(data.train.images), labels, tensors)),
        "DataLoader, prepared, no augmentation": _loader(TensorDataset(plain, data.train.labels)),
    }


def _resident(recipe: Recipe, data: ImageData) -> Callable[[], None]:
    """The loader and the preparation that `fit` has."""
    loader = TrainLoader(
        data, batch_size=BATCH, seed=0, rank=0, num_workers=1, methods=recipe.methods,
        settings=named_data(recipe).chosen[1], train_px=PX, num_processes=0,
    )  # fmt: skip
    prepare = Preparation(recipe, data, total_steps=loader.steps_per_epoch)
    epoch = iter(range(10**6))

    def deliver() -> None:
        first = next(epoch) * loader.steps_per_epoch
        steps = range(first, first + loader.steps_per_epoch)
        for step, batch in zip(steps, loader.batches(steps.start, steps.stop), strict=True):
            prepare(batch, step)

    return deliver


def _loader(dataset: Dataset) -> Callable[[], None]:
    loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=0, drop_last=True)

    def deliver() -> None:
        for _ in loader:
            pass

    return deliver
