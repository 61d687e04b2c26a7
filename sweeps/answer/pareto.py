"""The Pareto set: the trials that no other one beats in everything at once."""

from collections.abc import Sequence
from typing import Literal

import numpy as np


def pareto_front(
    points: Sequence[Sequence[float]], directions: Sequence[Literal["max", "min"]]
) -> list[int]:
    """Indices of the points that no other point dominates, in ascending order.

    One point dominates another if it is at least as good in every objective and better in one. So
    equal points are in the front together or not at all. A point with a NaN is never in it, and
    dominates nothing.

    Args:
        points: One value per objective each, for instance (accuracy, seconds).
        directions: Per objective, whether more or less is better.

    Raises:
        ValueError: If there is no objective, or a point has another number of values.
    """
    if not directions or any(len(point) != len(directions) for point in points):
        raise ValueError(f"needs a value for each of {len(directions)} objectives in every point")
    signs = np.array([-1.0 if direction == "max" else 1.0 for direction in directions])
    costs = np.asarray(points, dtype=float).reshape(len(points), len(directions)) * signs
    valid = np.flatnonzero(~np.isnan(costs).any(axis=1))
    rivals = costs[valid]
    return [
        int(index)
        for index in valid
        if not ((rivals <= costs[index]).all(axis=1) & (rivals < costs[index]).any(axis=1)).any()
    ]
