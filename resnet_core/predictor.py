"""A trained model for use: images as they come in, class probabilities out."""

import threading

import numpy as np
import torch
from torch import Tensor

from resnet_core.data.dataset import images_alone
from resnet_core.evaluate import logits_of, model_of
from resnet_core.models.family import LossName
from resnet_core.recipe import Recipe


class Predictor:
    """Looks at images exactly as the validation did: they go through `evaluate`'s own loop.

    Args:
        recipe: That was trained.
        state: Of the model that was evaluated.
        mean: Of the training images' channels, three numbers on the scale 0 to 255.
        std: Likewise, above 0.
        streamed: Whether the source decodes its images one by one: they have all sizes, and are
            resized and cropped. Images of the other sources come in the size they were trained in.
        device: Where to compute; None takes the current CUDA device if there is one.
    """

    def __init__(
        self, recipe: Recipe, state: dict[str, Tensor], *, mean: list[float], std: list[float],
        streamed: bool, device: torch.device | str | None = None,
    ) -> None:  # fmt: skip
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        # Starting loader processes would take longer than what they do for one request.
        self._recipe = recipe.model_copy(update={"loader_processes": 0})
        self._model = model_of(recipe, state, device)
        self._mean, self._std = (
            torch.tensor(values, device=device)[:, None, None] for values in (mean, std)
        )
        self._streamed = streamed
        self._one_at_a_time = threading.Lock()  # precision and threads are the process's settings

    def probabilities(self, images: np.ndarray) -> Tensor:
        """Class probabilities, float32 (N, K); from any thread.

        Args:
            images: uint8 (N, H, W, 3), RGB, N from 0. More than the recipe's ``eval_batch_size``
                are computed in several batches.

        Raises:
            ValueError: If they are anything else.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(f"images are uint8 (N, H, W, 3), got {images.dtype} {images.shape}")
        data = images_alone(
            torch.tensor(images).permute(0, 3, 1, 2),
            streamed=self._streamed,
            mean=self._mean,
            std=self._std,
            num_classes=self._recipe.model.num_classes,
        )
        with self._one_at_a_time:
            logits = logits_of(self._recipe, self._model, data, "validation")
        return probabilities_of(logits, self._recipe.model.loss_name)


def probabilities_of(logits: Tensor, loss_name: LossName) -> Tensor:
    """What logits mean to the loss they were trained with.

    Args:
        logits: Float (N, K).
        loss_name: soft_cross_entropy: one class is right, rows sum to 1.
            binary_cross_entropy_with_logits: each class by itself, rows need not.
    """
    if loss_name == "binary_cross_entropy_with_logits":
        return logits.sigmoid()
    return logits.softmax(dim=1)
