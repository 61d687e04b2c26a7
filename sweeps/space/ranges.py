"""Keys of a search space that take numbers between two bounds."""

import math
import random
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from resnet_core.problems import Loc
from sweeps.space.sampled import Sampled

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

MAX_LISTED_NUMBERS = 64
"""A range of at most this many numbers is checked value by value, a longer one at its ends."""

_Bounds = tuple[float, float]
_IntegerBounds = tuple[int, int]


class Range(Sampled):
    """Any number between two bounds."""

    is_log: ClassVar[bool] = False

    @property
    def bounds(self) -> tuple[Any, Any]:
        """The lowest and the highest value, both included."""
        return getattr(self, self.kind)[:2]

    @property
    def num_values(self) -> int | None:
        """None: they cannot be counted."""
        return None

    @property
    def is_discrete(self) -> bool:
        """Whether the numbers are few enough to be checked one by one."""
        return self.num_values is not None and self.num_values <= MAX_LISTED_NUMBERS

    def values_to_check(self) -> list[tuple[Loc, Any]]:
        """The bounds, and what lies between them if that is not too much."""
        low, high = self.bounds
        inner: list[tuple[Loc, Any]] = []
        if self.is_discrete and self.num_values is not None:
            inner = [((self.kind,), self.nth_value(n)) for n in range(1, self.num_values - 1)]
        return [((self.kind, 0), low), *inner, ((self.kind, 1), high)]

    def contains(self, value: Any) -> bool:
        """Whether it is a number between the bounds."""
        low, high = self.bounds
        return _is_number(value) and low <= value <= high

    def draw(self, rng: random.Random) -> Any:
        """See `Sampled.draw`."""
        low, high = self.bounds
        if self.is_log:
            return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
        return rng.uniform(low, high)

    @property
    def distribution(self) -> "BaseDistribution":
        """See `Sampled.distribution`."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(*self.bounds, log=self.is_log)

    def suggest(self, path: str, trial: "BaseTrial") -> Any:
        """See `Sampled.suggest`."""
        return trial.suggest_float(path, *self.bounds, log=self.is_log)

    def parameter(self, value: Any) -> Any:
        """The number itself."""
        return value


class Uniform(Range):
    """Any number between two bounds, all equally likely."""

    kind: ClassVar[str] = "uniform"

    uniform: _Bounds

    @field_validator("uniform")
    @classmethod
    def _check(cls, bounds: _Bounds) -> _Bounds:
        return _ordered(bounds)


class LogUniform(Range):
    """Any number between two bounds, all orders of magnitude equally likely."""

    kind: ClassVar[str] = "loguniform"
    is_log: ClassVar[bool] = True

    loguniform: _Bounds

    @field_validator("loguniform")
    @classmethod
    def _check(cls, bounds: _Bounds) -> _Bounds:
        if bounds[0] <= 0:
            raise ValueError(f"a logarithm needs a lower bound above 0, got {bounds[0]:g}")
        return _ordered(bounds)


class QUniform(Range):
    """Numbers at equal distances from a lower to an upper bound: [low, high, distance].

    Values are the decimal numbers that are meant: 0.3, not 0.1 + 0.1 + 0.1. They are whole numbers
    where all three are.
    """

    kind: ClassVar[str] = "quniform"

    quniform: tuple[float, float, float]

    @field_validator("quniform")
    @classmethod
    def _check(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        low, high, step = value
        _ordered((low, high), more=f", {step:g}")
        if step <= 0:
            raise ValueError(f"the distance between values must be above 0, got {step:g}")
        if step > high - low:
            raise ValueError(f"the distance {step:g} is more than from {low:g} to {high:g}")
        count = (_exact(high) - _exact(low)) / _exact(step)
        if count.denominator != 1:
            nearest = [
                f"[{low:g}, {float(_exact(low) + n * _exact(step)):.12g}, {step:g}]"
                for n in (math.floor(count), math.ceil(count))
            ]
            raise ValueError(
                f"{high:g} is no whole number of steps of {step:g} from {low:g}; "
                f"write {' or '.join(nearest)}"
            )
        return value

    @property
    def num_values(self) -> int:
        """Both bounds included."""
        low, high, step = map(_exact, self.quniform)
        return int((high - low) / step) + 1

    def nth_value(self, index: int) -> Any:
        """The decimal number at so many steps from the lower bound."""
        low, _, step = map(_exact, self.quniform)
        value = low + index * step
        return int(value) if self._is_whole else float(value)

    @property
    def bounds(self) -> tuple[Any, Any]:
        """The lowest and the highest value."""
        return self.nth_value(0), self.nth_value(self.num_values - 1)

    @property
    def has_whole_values(self) -> bool:
        """Whether every value is a whole number."""
        return self._is_whole

    @property
    def _is_whole(self) -> bool:
        return all(number.is_integer() for number in self.quniform)

    def contains(self, value: Any) -> bool:
        """Whether it is one of the values."""
        return super().contains(value) and value == self._nearest(value)

    def draw(self, rng: random.Random) -> Any:
        """See `Sampled.draw`."""
        return self.nth_value(rng.randrange(self.num_values))

    @property
    def distribution(self) -> "BaseDistribution":
        """See `Sampled.distribution`."""
        from optuna.distributions import FloatDistribution

        low, high, step = self.quniform
        return FloatDistribution(low, high, step=step)

    def suggest(self, path: str, trial: "BaseTrial") -> Any:
        """See `Sampled.suggest`."""
        low, high, step = self.quniform
        return self._nearest(trial.suggest_float(path, low, high, step=step))

    def _nearest(self, value: float) -> Any:
        low, _, step = map(_exact, self.quniform)
        index = round((_exact(value) - low) / step)
        return self.nth_value(min(max(index, 0), self.num_values - 1))


class IntegerRange(Range):
    """Any whole number between two bounds."""

    @property
    def num_values(self) -> int:
        """Both bounds included."""
        low, high = self.bounds
        return high - low + 1

    def nth_value(self, index: int) -> Any:
        """See `Sampled.nth_value`."""
        return self.bounds[0] + index

    def contains(self, value: Any) -> bool:
        """Whether it is a whole number between the bounds."""
        return super().contains(value) and value == int(value)

    def draw(self, rng: random.Random) -> Any:
        """See `Sampled.draw`."""
        low, high = self.bounds
        if self.is_log:  # the halves on either side take part in rounding, as in Optuna
            value = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            return min(max(round(value), low), high)
        return rng.randint(low, high)

    @property
    def distribution(self) -> "BaseDistribution":
        """See `Sampled.distribution`."""
        from optuna.distributions import IntDistribution

        return IntDistribution(*self.bounds, log=self.is_log)

    def suggest(self, path: str, trial: "BaseTrial") -> Any:
        """See `Sampled.suggest`."""
        return trial.suggest_int(path, *self.bounds, log=self.is_log)


class IntRange(IntegerRange):
    """Any whole number between two bounds, both included, all equally likely."""

    kind: ClassVar[str] = "int"

    int: _IntegerBounds

    @field_validator("int")
    @classmethod
    def _check(cls, bounds: _IntegerBounds) -> _IntegerBounds:
        return _ordered(bounds)


class LogIntRange(IntegerRange):
    """Any whole number between two bounds, all orders of magnitude equally likely."""

    kind: ClassVar[str] = "logint"
    is_log: ClassVar[bool] = True

    logint: _IntegerBounds

    @field_validator("logint")
    @classmethod
    def _check(cls, bounds: _IntegerBounds) -> _IntegerBounds:
        if bounds[0] < 1:
            raise ValueError(f"a logarithm needs a lower bound of at least 1, got {bounds[0]}")
        return _ordered(bounds)


def _exact(number: float) -> Fraction:
    """The decimal number that was written, which a float only comes near to."""
    return Fraction(repr(number))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _ordered(bounds: Any, more: str = "") -> Any:
    low, high = bounds
    if low > high:
        raise ValueError(f"the bounds are inverted; write [{high:g}, {low:g}{more}]")
    if low == high:
        raise ValueError(f"both bounds are {low:g}: nothing varies; write {{value: {low:g}}}")
    return bounds
