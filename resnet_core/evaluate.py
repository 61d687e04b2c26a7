"""Loss and accuracy of a model or a checkpoint on a whole split, whatever the number of workers."""

from pathlib import Path

import torch
import torch.distributed as dist

from resnet_core.checkpoint import load_checkpoint
from resnet_core.data.loader import evaluation_batches
from resnet_core.data.sources import DataConfig, ImageData, load_data
from resnet_core.models.factory import ResNetClassifier
from resnet_core.recipe import CannotTrain, Recipe


@torch.no_grad()
def evaluate(
    recipe: Recipe, model: ResNetClassifier, data: ImageData, split_name: str
) -> dict[str, float]:
    """Loss and accuracies on a whole split, every image counted once; collective if distributed.

    Args:
        recipe: For precision and batch size.
        model: On the device of the data; left in evaluation mode.
        data: In memory.
        split_name: train, validation or test.

    Returns:
        loss, accuracy, top5_accuracy (fractions) and num_images.
    """
    model.eval()
    metrics = model.metrics()
    device = data.mean.device
    rank, num_workers = (dist.get_rank(), dist.get_world_size()) if is_distributed() else (0, 1)
    for images, labels in evaluation_batches(
        data,
        data.split(split_name),
        batch_size=recipe.eval_batch_size,
        rank=rank,
        num_workers=num_workers,
    ):
        with autocast(recipe, device):
            logits = model(images)
        metrics.update(logits, labels)
    return metrics.compute()


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
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    state, _, manifest = load_checkpoint(Path(folder), device)
    recipe = Recipe.model_validate(manifest.recipe)
    with torch.random.fork_rng(devices=[]):
        model = ResNetClassifier(recipe.model)
    model.load_state_dict(state)
    model = model.to(device).to(memory_format=torch.channels_last)
    data = load_data(named_data(recipe), recipe.model.num_classes, device)
    return evaluate(recipe, model, data, split_name)


def named_data(recipe: Recipe) -> DataConfig:
    """The data section.

    Raises:
        CannotTrain: If the recipe has none.
    """
    if recipe.data is None:
        raise CannotTrain("the recipe names no data; add data: {digits: {}} or data: {fake: {}}")
    return recipe.data


def is_distributed() -> bool:
    """Whether this process is one of several workers, or of one in a process group."""
    return dist.is_available() and dist.is_initialized()


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """The forward pass in the recipe's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16")
