"""The hyper-parameters of a population as Tune's schedulers change them, and back.

Tune multiplies, draws and optimises numbers without knowing the space; what comes back here is put
inside the bounds of its domain again.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sweeps.space.domains import Listed, Sampled
from sweeps.space.ranges import Range


@dataclass(frozen=True)
class Gene:
    """One key of the space.

    Attributes:
        domain: What it may take: numbers only.
        logarithmic: Whether Tune sees the logarithm (PB2, whose Gaussian process knows no other
            way to treat orders of magnitude alike).
    """

    domain: Sampled
    logarithmic: bool = False

    def encode(self, value: float) -> Any:
        """The number that Tune gets for a value of the recipe."""
        if self.logarithmic:
            low, _ = self._bounds
            return math.log(max(value, low))
        if isinstance(self.domain, Listed):
            return next((one for one in self.domain.values if one == value), value)
        return float(value)  # an int would make Tune round what it multiplies

    def decode(self, number: float) -> Any:
        """The value for a number that Tune came up with, the nearest one that the domain has."""
        if isinstance(self.domain, Listed):
            return min(self.domain.values, key=lambda value: abs(value - number))
        value = math.exp(number) if self.logarithmic else float(number)
        low, high = self._bounds
        value = min(max(value, low), high)
        count = self.domain.num_values
        if count is None:
            return value
        return self.domain.nth_value(round((value - low) / (high - low) * (count - 1)))

    @property
    def mutation(self) -> list[Any] | Callable[[], Any]:
        """What PBT is told: neighbours in order, or how to draw anew from the global `random`."""
        if isinstance(self.domain, Listed):
            return sorted(self.domain.values)
        return lambda: float(self.domain.draw(random))  # pyright: ignore[reportArgumentType]

    @property
    def bounds(self) -> list[float]:
        """What PB2 is told."""
        return [self.encode(bound) for bound in self._bounds]

    @property
    def _bounds(self) -> tuple[Any, Any]:
        assert isinstance(self.domain, Range)
        return self.domain.bounds
