"""SGD with decoupled weight decay, as a thin layer over torch's fused SGD."""

from typing import Any

import torch
from torch import Tensor


class DecoupledSGDW(torch.optim.SGD):
    """Shrink each weight by ``weight_decay * lr / initial_lr``, then take a plain SGD step.

    The decay follows the schedule but neither the peak learning rate nor momentum, so both can be
    swept without changing how strongly weights decay. Arguments are those of `torch.optim.SGD`,
    a group's own ``weight_decay`` included; the learning rate given here is the initial (peak) one.

    Source: Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 1, with the schedule multiplier
    lr / initial_lr.
    """

    def __init__(self, params: Any, lr: float, *, weight_decay: float = 0.0, **rest: Any) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, **rest)
        for group in self.param_groups:
            group["initial_lr"] = lr
            group["decoupled_weight_decay"] = group["weight_decay"]
            group["weight_decay"] = 0.0

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Decay, then SGD's own step; a weight without gradient is left alone by both."""
        # Set by loss scaling: 1 where a gradient overflowed and the step is to be skipped.
        skipped: Tensor | None = getattr(self, "found_inf", None)
        for group in self.param_groups:
            decay = group["decoupled_weight_decay"] * group["lr"] / group["initial_lr"]
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if decay == 0 or not weights:
                continue
            factor: Any = 1 - decay if skipped is None else 1 - decay * (1 - skipped)
            torch._foreach_mul_(weights, factor)  # pyright: ignore[reportPrivateImportUsage]
        return super().step(closure)
