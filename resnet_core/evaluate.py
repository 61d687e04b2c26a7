"""Loss and accuracy of a model or a checkpoint on a whole split, whatever the number of workers."""

import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_core.checkpoint import load_checkpoint
from resnet_core.data.augment import normalise
from resnet_core.data.dataset import ImageData, Split
from resnet_core.data.loader import evaluation_batches
from resnet_core.data.section import DataConfig
from resnet_core.data.sources import load_data
from resnet_core.methods.channels_last import to_channels_last
from resnet_core.methods.resolution import resize_and_crop
from resnet_core.metrics import ClassificationMetrics
from resnet_core.models.factory import ResNetClassifier, build_architecture
from resnet_core.precision import autocast, tf32
from resnet_core.problems import CannotTrain
from resnet_core.process_group import rank_and_num_workers
from resnet_core.random_streams import global_seed
from resnet_core.recipe import Recipe


def evaluate(
    recipe: Recipe, model: ResNetClassifier, data: ImageData, split_name: str
) -> dict[str, float]:
    """`evaluate_together` of one model."""
    return evaluate_together(recipe, [model], data, split_name)[0]


def evaluate_together(
    recipe: Recipe,
    models: list[ResNetClassifier],
    data: ImageData,
    split_name: str,
    *,
    after_batch: Callable[[], object] | None = None,
) -> list[dict[str, float]]:
    """Loss and accuracies on a whole split, every image counted once; collective if distributed.

    Args:
        recipe: For precision, resolution and batch size.
        models: On the device of the data; left in evaluation mode. Each image is loaded once.
        data: Whose split.
        split_name: train, validation or test.
        after_batch: Called after each batch.

    Returns:
        For each model: loss, cross_entropy, accuracy, top5_accuracy (fractions) and num_images,
        which counts no image that could not be read.
    """
    metrics = [model.metrics() for model in models]
    _measure(recipe, models, metrics, data, split_name, after_batch)
    return _values(metrics, data, split_name)


@torch.no_grad()
def _measure(
    recipe: Recipe,
    models: list[ResNetClassifier],
    metrics: list[ClassificationMetrics],
    data: ImageData,
    split_name: str,
    after_batch: Callable[[], object] | None = None,
) -> None:
    """Add this worker's share of a split to the metrics of each model."""
    with closing(_outputs(recipe, models, data, split_name)) as outputs:
        for labels, logits in outputs:
            for one, sums in zip(logits, metrics, strict=True):
                sums.update(one, labels)
            if after_batch is not None:
                after_batch()


@torch.no_grad()
def logits_of(recipe: Recipe, model: ResNetClassifier, data: ImageData, split_name: str) -> Tensor:
    """What a model says of a split, looked at as `evaluate` does; not collective.

    Args:
        recipe: For precision, resolution and batch size.
        model: On the device of the data; left in evaluation mode.
        data: Whose split; no image of it may be unreadable.
        split_name: train, validation or test.

    Returns:
        Float32 (N, K) on the CPU, in the order of the split.
    """
    found = [torch.empty(0, recipe.model.num_classes)]
    with closing(_outputs(recipe, [model], data, split_name)) as outputs:
        found += [logits.float().cpu() for _, (logits,) in outputs]
    return torch.cat(found)


def _outputs(
    recipe: Recipe, models: list[ResNetClassifier], data: ImageData, split_name: str
) -> Generator[tuple[Tensor, list[Tensor]]]:
    """Labels of each batch of this worker's share of a split, and each model's logits."""
    for model in models:
        model.eval()
    rank, num_workers = rank_and_num_workers()
    resolution, split = recipe.methods.resolution, data.split(split_name)
    batches = evaluation_batches(
        split,
        data=data,
        batch_size=recipe.eval_batch_size,
        rank=rank,
        num_workers=num_workers,
        resolution=resolution,
        num_processes=recipe.num_loader_processes,
    )
    with tf32(allowed=recipe.tf32), closing(batches):
        for batch in batches:
            channels_last = recipe.methods.channels_last
            images = normalise(batch.images, data.mean, data.std, channels_last=channels_last)
            if resolution is not None and isinstance(split, Split):  # others: done by the loader
                images = resize_and_crop(images, resolution)
            with autocast(recipe.precision, data.device):
                logits = [model(images) for model in models]
            yield batch.labels, logits


def _values(
    metrics: list[ClassificationMetrics], data: ImageData, split_name: str
) -> list[dict[str, float]]:
    found, num_images = [sums.compute() for sums in metrics], len(data.split(split_name))
    missing = num_images - round(found[0]["num_images"])
    if missing:
        warnings.warn(
            f"{split_name}: {missing} of {num_images} images could not be read and were left out",
            stacklevel=3,
        )
    return found


def evaluate_checkpoint(
    folder: str | Path, split_name: str, device: torch.device | str | None = None
) -> dict[str, float]:
    """Load a checkpoint and evaluate it, with the recipe it holds.

    Args:
        folder: The checkpoint.
        split_name: train, validation or test.
        device: None takes the current CUDA device if there is one.

    Returns:
        As `evaluate`.

    Raises:
        OSError: If the checkpoint is corrupt (`CorruptCheckpoint`).
    """
    return evaluate_checkpoint_by_image(folder, split_name, device)[0]


def evaluate_checkpoint_by_image(
    folder: str | Path, split_name: str, device: torch.device | str | None = None
) -> tuple[dict[str, float], Tensor]:
    """`evaluate_checkpoint`, and which images were classified correctly.

    Two checkpoints that were evaluated on the same images can so be compared image by image, which
    tells a far smaller difference than their two accuracies do.

    Returns:
        The values; and bool (num_images,) on the CPU, in the order of the split, without images
        that could not be read. Collective if distributed; every worker gets the whole split's.
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    states, manifest = load_checkpoint(Path(folder), device)
    recipe = Recipe.model_validate(manifest.recipe)
    model = model_of(recipe, states[evaluated_state(states)], device)
    data = load_data(named_data(recipe), recipe.model.num_classes, device)
    metrics = model.metrics()
    metrics.keep_correct()
    _measure(recipe, [model], [metrics], data, split_name)
    return _values([metrics], data, split_name)[0], metrics.correct()


def evaluated_state(states: Iterable[str]) -> str:
    """Which of a checkpoint's states is the model that was evaluated: the average, if it has one.

    Args:
        states: Their names.
    """
    return "ema" if "ema" in states else "model"


def model_of(recipe: Recipe, state: dict[str, Any], device: torch.device) -> ResNetClassifier:
    """The recipe's model with trained weights, on the device and laid out as the recipe says.

    Args:
        recipe: For the architecture.
        state: As `evaluated_state` names it.
        device: Where to.
    """
    with global_seed(recipe.seed):
        model = build_architecture(recipe.model, recipe.methods)
    model.load_state_dict(state)
    model = model.to(device)
    return to_channels_last(model) if recipe.methods.channels_last else model


def named_data(recipe: Recipe) -> DataConfig:
    """The data section.

    Raises:
        CannotTrain: If the recipe has none.
    """
    if recipe.data is None:
        raise CannotTrain("the recipe names no data; add data: {digits: {}} or data: {fake: {}}")
    return recipe.data
