"""The small tasks that stopping rules are tried on, and the space their configurations come from.

Three classifications of 8x8 pixels, hard enough that configurations differ: handwritten digits of
which few are shown, digits with a quarter of the training labels wrong, and gratings under noise.
Everything is drawn from fixed seeds, so that the same configuration is the same training.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from resnet_core import Recipe
from resnet_core.data.dataset import ImageData, Split

NUM_EPOCHS = 27
"""Of a whole schedule: three factors of 3 above one epoch."""

NUM_TRAIN, NUM_EVALUATION = 320, 600
"""Few training images keep a training to seconds; 600 to evaluate on resolve 0.17 points."""

_SPACE_SEED, _DATA_SEED = 17, 20_270
_WRONG_LABELS_RATIO = 0.25
_NUM_GRATINGS = 10


def draw_overrides(configuration: int) -> dict[str, Any]:
    """A configuration: what it sets in the recipe, by dotted path.

    Args:
        configuration: Index, from 0; the same for every task.
    """
    rng = np.random.default_rng([_SPACE_SEED, configuration])

    def loguniform(low: float, high: float) -> float:
        return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.4g}")

    def choice(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    warmup = choice(0, 1, 3, 6)
    decay = NUM_EPOCHS - warmup
    return {
        "model.name": choice("resnet_20", "resnet_20", "resnet_32"),
        "optimizer.decoupled_sgdw.learning_rate": loguniform(0.003, 1.0),
        "optimizer.decoupled_sgdw.weight_decay": loguniform(1e-5, 3e-2),
        "optimizer.decoupled_sgdw.momentum": choice(0.8, 0.9, 0.95),
        "lr_schedulers": {
            "linear_warmup": f"{warmup}ep",
            **choice(
                {"cosine_decay": {"T_max": f"{decay}ep"}},
                {"cosine_decay": {"T_max": f"{decay}ep"}},
                {"linear": {"T_max": f"{decay}ep"}},
                {"step_decay": {"milestones": ["15ep", "22ep"]}},
                {"warmup_stable_decay": {"T_stable": f"{decay - 9}ep", "T_decay": "9ep"}},
            ),
        },
        "data.fake.max_shift_px": choice(0, 1),
        "methods.label_smoothing": choice(None, {"smoothing": 0.1}),
        "methods.stochastic_depth": choice(None, {"drop_ratio": 0.2}),
        "methods.zero_init_residual": choice(False, True),
    }


def build_recipe(configuration: int, *, num_epochs: int, seed: int) -> Recipe:
    """The recipe of a configuration, its schedule squeezed or left whole.

    Args:
        configuration: Index, from 0.
        num_epochs: Length of the complete schedule; `NUM_EPOCHS` is the whole one.
        seed: Of weights, order and augmentation.
    """
    values: dict[str, Any] = {
        "model": {"num_classes": 10},
        "train_batch_size": 20,
        "max_duration": f"{NUM_EPOCHS}ep",
        "schedule_scale": num_epochs / NUM_EPOCHS,
        # Stands in for the task's images, which `load_task` brings, and augments them.
        "data": {
            "fake": {
                "num_train": NUM_TRAIN,
                "num_evaluation": NUM_EVALUATION,
                "image_size_px": 8,
            }
        },
        "methods": {"channels_last": True},
        "seed": seed,
    }
    for path, value in draw_overrides(configuration).items():
        *parents, last = path.split(".")
        section = values
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
    return Recipe.model_validate(values)


def load_task(task: str) -> ImageData:
    """The images of a task, on the CPU; the test split is the validation split, since unused."""
    train, validation = {
        "few_digits": _few_digits,
        "wrong_labels": _wrong_labels,
        "gratings": _gratings,
    }[task]()
    pixels = train.images.float()
    mean = pixels.mean(dim=(0, 2, 3))[:, None, None]
    std = pixels.std(dim=(0, 2, 3), correction=0)[:, None, None]
    return ImageData(train, validation, validation, mean, std, 10, torch.device("cpu"))


TASKS = ("few_digits", "wrong_labels", "gratings")


def _few_digits() -> tuple[Split, Split]:
    """Digits seen through noise: 320 of them to learn from."""
    images, labels = _digits()
    noise = np.random.default_rng([_DATA_SEED, 1]).normal(0, 55, images.shape)
    return _split(np.clip(images + noise, 0, 255), labels)


def _wrong_labels() -> tuple[Split, Split]:
    """Clean digits, but every fourth label of the training images is drawn from the other nine."""
    images, labels = _digits()
    rng = np.random.default_rng([_DATA_SEED, 2])
    wrong = rng.permutation(NUM_TRAIN)[: int(_WRONG_LABELS_RATIO * NUM_TRAIN)]
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, len(wrong))) % 10
    return _split(images, labels)


def _gratings() -> tuple[Split, Split]:
    """Ten kinds of stripes, by direction and width, of any phase and colour, under noise."""
    rng = np.random.default_rng([_DATA_SEED, 3])
    count = NUM_TRAIN + NUM_EVALUATION
    labels = np.arange(count) % _NUM_GRATINGS
    angle = (labels % 5) * np.pi / 5 + rng.normal(0, 0.1, count)
    cycles = np.where(labels < 5, 0.17, 0.29) * rng.uniform(0.9, 1.1, count)  # per pixel
    y, x = np.mgrid[:8, :8]
    along = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    phase = rng.uniform(0, 2 * np.pi, count)[:, None, None]
    stripes = np.sin(2 * np.pi * cycles[:, None, None] * along + phase)
    colour = rng.uniform(0.3, 1, (count, 3, 1, 1))
    images = 128 + 60 * colour * stripes[:, None] + rng.normal(0, 60, (count, 3, 8, 8))
    return _split(np.clip(images, 0, 255), labels)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    digits: Any = datasets.load_digits()
    order = np.random.default_rng([_DATA_SEED, 0]).permutation(len(digits.target))
    grey = digits.images[order] * (255 / 16)
    return np.repeat(grey[:, None], 3, axis=1), digits.target[order]


def _split(images: np.ndarray, labels: np.ndarray) -> tuple[Split, Split]:
    pixels: Tensor = torch.from_numpy(images.round().astype(np.uint8))
    classes = torch.from_numpy(labels.astype(np.int64))
    end = NUM_TRAIN + NUM_EVALUATION
    return (
        Split(pixels[:NUM_TRAIN], classes[:NUM_TRAIN]),
        Split(pixels[NUM_TRAIN:end], classes[NUM_TRAIN:end]),
    )
