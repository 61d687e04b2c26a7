"""Repeated measurements in few numbers: least, quartiles, median."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Of the same figure measured several times; ``low`` and ``high`` are the quartiles."""

    least: float
    low: float
    median: float
    high: float

    def text(self, digits: int = 0) -> str:
        """The median, and the quartiles in parentheses."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Describe at least one measurement.

    Raises:
        ValueError: If there is none.
    """
    if not values:
        raise ValueError("nothing was measured, so there is no median")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(min(values), low, median, high)
