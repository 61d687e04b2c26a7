"""A recipe's learning-rate schedule as a drawing: SVG, which every browser and MLflow show."""

import math

from resnet_core import Recipe
from sweeps.schedule_points import schedule_points

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 30, 50


def schedule_svg(recipe: Recipe, num_train: int) -> str:
    """The multiplier of the peak learning rate at each step, over epochs.

    Args:
        recipe: What is trained.
        num_train: Images in the training split, at least a batch.
    """
    steps_per_epoch = num_train // recipe.train_batch_size
    epochs, rates = schedule_points(recipe, steps_per_epoch)
    num_epochs = recipe.total_steps(steps_per_epoch) / steps_per_epoch
    highest = max(1.0, *rates)

    def x(epoch: float) -> float:
        return _LEFT + epoch / num_epochs * (_WIDTH - _LEFT - _RIGHT)

    def y(rate: float) -> float:
        return _HEIGHT - _BOTTOM - rate / highest * (_HEIGHT - _TOP - _BOTTOM)

    line = " ".join(
        f"{x(epoch):.1f},{y(rate):.1f}" for epoch, rate in zip(epochs, rates, strict=True)
    )
    ticks = [
        f'<text x="{x(epoch):.1f}" y="{y(0) + 18:.1f}" text-anchor="middle">{epoch:g}</text>'
        for epoch in _ticks(num_epochs)
    ]
    ticks += [
        f'<text x="{_LEFT - 8}" y="{y(rate) + 4:.1f}" text-anchor="end">{rate:g}</text>'
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(rate):.1f}" y2="{y(rate):.1f}" '
        'stroke="#ddd"/>'
        for rate in _ticks(highest)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
            f'<text x="{_LEFT}" y="18">learning rate / its peak</text>',
            *ticks,
            f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 10}" text-anchor="middle">'
            "epochs</text>",
            f'<polyline points="{line}" fill="none" stroke="#1f77b4" stroke-width="2"/>',
            "</svg>\n",
        ]
    )


def _ticks(end: float) -> list[float]:
    """Round numbers from 0 up to the end, at most six steps."""
    magnitude = 10 ** math.floor(math.log10(end / 6))
    step = next(magnitude * n for n in (1, 2, 5, 10) if magnitude * n * 6 >= end)
    return [round(step * index, 10) for index in range(math.floor(end / step + 1e-9) + 1)]
