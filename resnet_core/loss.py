"""Losses by the names of a recipe; each takes class indices or class probabilities."""

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Reduction = Literal["mean", "sum", "none"]


_MEAN: Reduction = "mean"


def soft_cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    weight: Tensor | None = None,
    reduction: Reduction = _MEAN,
) -> Tensor:
    """Cross-entropy of the softmax: minus the sum over k of weight * target * log_softmax.

    Args:
        logits: Float (N, K).
        targets: Class indices, int64 (N,), or class probabilities, float (N, K).
        weight: Of each class, float (K,); None weighs all alike.
        reduction: mean is over images; with class indices and weights, the weighted mean, as torch
            has it. sum adds them up, none gives each image's.

    Returns:
        A scalar, or (N,) for none.

    Raises:
        ValueError: If the shapes do not fit together.
    """
    _check_targets(logits, targets)
    return F.cross_entropy(logits, targets, weight=weight, reduction=reduction)


def binary_cross_entropy_with_logits(
    logits: Tensor,
    targets: Tensor,
    *,
    weight: Tensor | None = None,
    reduction: Reduction = _MEAN,
) -> Tensor:
    """Binary cross-entropy of each class, summed over classes and averaged over the batch.

    Args:
        logits: Float (N, K).
        targets: Class indices, int64 (N,), or class probabilities, float (N, K).
        weight: Of each class, float (K,); None weighs all alike.
        reduction: mean is over images; sum adds them up, none gives each image's.

    Returns:
        A scalar, or (N,) for none.

    Raises:
        ValueError: If the shapes do not fit together.

    Source: Wightman et al. 2021, arXiv:2110.00476, section 2.1.
    """
    _check_targets(logits, targets)
    if not targets.is_floating_point():
        targets = F.one_hot(targets, logits.shape[1]).to(logits.dtype)
    each = F.binary_cross_entropy_with_logits(logits, targets, weight=weight, reduction="none")
    per_image = each.sum(dim=1)
    return {"mean": per_image.mean, "sum": per_image.sum, "none": lambda: per_image}[reduction]()


def _check_targets(logits: Tensor, targets: Tensor) -> None:
    expected = logits.shape if targets.is_floating_point() else logits.shape[:1]
    if targets.shape != expected:
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} take class indices (N,) or float "
            f"probabilities (N, K), got {targets.dtype} of shape {tuple(targets.shape)}"
        )


LOSSES: dict[str, Callable[..., Tensor]] = {
    "soft_cross_entropy": soft_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
}
