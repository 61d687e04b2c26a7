"""A recipe's learning-rate schedule as points to draw; needs no torch."""

import math

from resnet_core import Recipe
from resnet_core.schedule import build_schedule

MOST_POINTS = 600
"""Of a drawing: more than it has pixels across."""


def schedule_points(recipe: Recipe, steps_per_epoch: int) -> tuple[list[float], list[float]]:
    """Where in the training, and at which share of its peak, the learning rate is.

    Args:
        recipe: What is trained.
        steps_per_epoch: Optimizer steps in an epoch, at least 1.

    Returns:
        Epochs, fractions of them too, and the multiplier of the peak there: first and last step
        among them, at most about `MOST_POINTS`.
    """
    total_steps = recipe.total_steps(steps_per_epoch)
    multiplier = build_schedule(
        recipe.lr_schedulers,
        peak_learning_rate=recipe.peak_learning_rate,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        scale=recipe.exact_schedule_scale,
    )
    every = math.ceil(total_steps / MOST_POINTS)
    steps = [*range(0, total_steps - 1, every), total_steps - 1]
    return [step / steps_per_epoch for step in steps], [multiplier(step) for step in steps]
