"""SAM: the gradient is taken a little uphill of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


@contextmanager
def uphill(model: nn.Module, *, rho: float) -> Iterator[None]:
    """Move the weights ``rho`` along their gradient; inside, its gradients can be taken anew.

    The weights come back bit by bit. The batch-norm statistics of what runs inside are not kept:
    they belong to weights that are left again. Multiplying the gradient (loss scaling) changes
    nothing; where it is not finite, the gradients taken inside are not finite either.

    Args:
        model: With gradients; they are dropped.
        rho: Length of the way, as a norm over all weights together, above 0.

    Source: Foret et al. 2020, arXiv:2010.01412, eq. 2.
    """
    weights = [weight for weight in model.parameters() if weight.grad is not None]
    with torch.no_grad():
        gradients: list[Tensor] = [weight.grad for weight in weights if weight.grad is not None]
        length = torch.linalg.vector_norm(
            torch.stack(torch._foreach_norm(gradients))  # pyright: ignore[reportPrivateImportUsage]
        )
        before = [weight.clone(memory_format=torch.preserve_format) for weight in weights]
        factor = rho / (length + 1e-12)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.add_(gradient * factor)
    model.zero_grad(set_to_none=True)
    try:
        with _statistics_kept(model):
            yield
    finally:
        with torch.no_grad():
            for weight, old in zip(weights, before, strict=True):
                weight.copy_(old)


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Normalise by the batch without keeping its statistics."""
    norms = [module for module in model.modules() if isinstance(module, _NormBase)]
    tracking = [norm for norm in norms if norm.track_running_stats]
    for norm in tracking:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in tracking:
            norm.track_running_stats = True
