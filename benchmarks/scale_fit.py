"""How a cost grows: the exponent of a power law, the slope of a line."""

import math
from collections.abc import Sequence


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Of the law cost ~ size ** exponent that fits best in logarithms; 1 is proportional."""
    return slope([math.log(size) for size in sizes], [math.log(cost) for cost in costs])


def slope(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Of the straight line cost ~ a + slope * size that fits best."""
    x, y = sum(sizes) / len(sizes), sum(costs) / len(costs)
    products = sum((a - x) * (b - y) for a, b in zip(sizes, costs, strict=True))
    return products / sum((a - x) ** 2 for a in sizes)
