"""EMA: a moving average of a model's weights."""

import copy

import torch
from torch import Tensor, nn


class Ema:
    """A copy of a model whose weights follow it slowly.

    Parameters and floating-point buffers are averaged; integer buffers are copied.

    Args:
        model: What is followed; the copy begins equal to it.
        half_life_steps: Optimizer steps after which old weights count half, above 0.
        update_interval_steps: Optimizer steps from one update to the next, at least 1.

    Attributes:
        model: The averaged copy, in evaluation mode.
        smoothing: Share of the old average that an update keeps, ``2 ** (-interval / half life)``.

    Source: Polyak & Juditsky 1992; half-life and interval as in MosaicML Composer's EMA.
    """

    def __init__(
        self, model: nn.Module, *, half_life_steps: int, update_interval_steps: int
    ) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.smoothing = 2 ** (-update_interval_steps / half_life_steps)
        self._interval = update_interval_steps
        self._followed: nn.Module | None = None
        self._floating: tuple[list[Tensor], list[Tensor]] = [], []
        self._whole: list[tuple[Tensor, Tensor]] = []

    @torch.no_grad()
    def update(self, model: nn.Module, completed_steps: int) -> None:
        """Follow the model, if the interval is over."""
        if completed_steps % self._interval != 0:
            return
        if model is not self._followed:
            self._follow(model)
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            *self._floating, 1 - self.smoothing
        )
        for averaged, new in self._whole:
            averaged.copy_(new)

    def _follow(self, model: nn.Module) -> None:
        """Keep both models' tensors, which change in place: to look for them takes Python time."""
        self._followed = model
        new, averaged = model.state_dict(), self.model.state_dict()
        floating = [name for name, value in averaged.items() if value.is_floating_point()]
        self._floating = [averaged[name] for name in floating], [new[name] for name in floating]
        self._whole = [(averaged[name], new[name]) for name in averaged.keys() - floating]
