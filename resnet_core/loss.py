"""Losses by the names of a recipe; each takes class indices or class probabilities."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the softmax, averaged over the batch.

    Args:
        logits: Float (N, K).
        targets: Class indices, int64 (N,), or class probabilities, float (N, K).

    Returns:
        A scalar: the mean over n of ``-sum_k targets[n, k] * log_softmax(logits[n])[k]``.
    """
    return F.cross_entropy(logits, targets)


def binary_cross_entropy_with_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of each class, summed over classes and averaged over the batch.

    Args:
        logits: Float (N, K).
        targets: Class indices, int64 (N,), or class probabilities, float (N, K).

    Returns:
        A scalar.

    Source: Wightman et al. 2021, arXiv:2110.00476, section 2.1.
    """
    if not targets.is_floating_point():
        targets = F.one_hot(targets, logits.shape[1]).to(logits.dtype)
    summed = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return summed / logits.shape[0]


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "soft_cross_entropy": soft_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
}
