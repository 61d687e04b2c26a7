"""What the winner's model is made of, written where its data and checkpoint are at hand.

recipe.yaml           as the checkpoint holds it
preprocessing.json    mean, std, whether images are resized, their size, names of the classes
images.npy            the first images of the validation split, uint8 (n, H, W, 3)
probabilities.npy     what the evaluated model says of them, float32 (n, K)
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from resnet_core.checkpoint import load_checkpoint
from resnet_core.data.class_names import class_names
from resnet_core.data.dataset import BadImage, Split, StreamedSplit, images_alone
from resnet_core.data.sources import load_data
from resnet_core.evaluate import evaluated_state, logits_of, model_of, named_data
from resnet_core.predictor import probabilities_of
from resnet_core.recipe import Recipe

NUM_EXAMPLES = 4
_MOST_PX = 256
"""Of a side of an example of all sizes; MLflow writes them out as decimal numbers."""


def pack(checkpoint: Path, folder: Path, threads: int | None) -> str:
    """Write everything but the weights, which the checkpoint holds as they are needed.

    Computed on the CPU, so that whoever checks the model needs no GPU to get the same numbers.

    Args:
        checkpoint: Of the winner; it is verified.
        folder: Where to; it is there.
        threads: Of torch; None leaves them alone.

    Returns:
        The checkpoint's file with the weights of the model that was evaluated.

    Raises:
        CorruptCheckpoint: If the checkpoint is.
        OSError: If the data cannot be read.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    device = torch.device("cpu")
    states, manifest = load_checkpoint(checkpoint, device)
    recipe = Recipe.model_validate(manifest.recipe)
    evaluated = evaluated_state(states)
    model = model_of(recipe, states[evaluated], device)
    data = load_data(named_data(recipe), recipe.model.num_classes, device)
    images = _examples(data.validation)
    streamed = isinstance(data.validation, StreamedSplit)
    examples = images_alone(
        images, streamed=streamed, mean=data.mean, std=data.std, num_classes=data.num_classes
    )
    logits = logits_of(recipe, model, examples, "validation")
    preprocessing = {
        "mean": data.mean.flatten().tolist(),
        "std": data.std.flatten().tolist(),
        "streamed": streamed,
        "size_px": [-1, -1] if streamed else list(images.shape[2:]),
        "num_classes": recipe.model.num_classes,
        "class_names": class_names(named_data(recipe)),
    }
    (folder / "recipe.yaml").write_text(recipe.to_yaml())
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing, indent=1))
    np.save(folder / "images.npy", images.permute(0, 2, 3, 1).contiguous().numpy())
    probabilities = probabilities_of(logits, recipe.model.loss_name)
    np.save(folder / "probabilities.npy", probabilities.numpy())
    return f"{evaluated}.pt"


def _examples(split: Split | StreamedSplit) -> Tensor:
    """The first images, uint8 (n, 3, H, W); of all sizes, the middle that they have in common."""
    if isinstance(split, Split):
        return split.images[:NUM_EXAMPLES]
    found = []
    for index in range(len(split)):
        image = _read(split, index)
        found += [] if image is None else [image]
        if len(found) == NUM_EXAMPLES:
            break
    size = [min(_MOST_PX, *(image.shape[side] for image in found)) for side in (1, 2)]
    return torch.stack([F.center_crop(image, size) for image in found])


def _read(split: StreamedSplit, index: int) -> Tensor | None:
    try:
        image, _ = split.dataset[index]
    except BadImage:
        if split.on_bad_image == "error":
            raise
        return None
    return F.pil_to_tensor(image) if isinstance(image, Image.Image) else image
