"""Computing one value of a recipe from others: ``0.1 * train_batch_size``, ``max_duration - 2ep``.

Numbers are exact, so 0.1 * 3 is 0.3. Lengths go together in one unit, and with numbers where that
has a meaning. Functions: min, max, round (halves away from zero), floor, ceil, sqrt, log2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from resnet_core.duration import Duration
from resnet_core.plain_errors import written
from sweeps.space.formula import Node, Quantity, parse_formula, read_number

MAX_EXPONENT = 64
_MAX_BITS = 4096  # of numerator and denominator; the largest float has 1024


class CannotCompute(ValueError):
    """An expression has no value here: a division by 0, units that do not go together, ..."""


@dataclass(frozen=True)
class Expression:
    """A formula that was read and can be computed.

    Attributes:
        text: As written.
        names: The recipe paths it looks at, each once, in reading order.
    """

    text: str
    names: tuple[str, ...]
    _root: Node

    @classmethod
    def parse(cls, text: object) -> "Expression":
        """Read a formula.

        Raises:
            ValueError: If it is none; says what stands at which character.
        """
        root, names = parse_formula(text)
        return cls(str(text).strip(), names, root)

    def compute(self, value_at: Callable[[str], Any]) -> int | float | str:
        """The value as a recipe has it: whole numbers as int, lengths as text ("82ep").

        Args:
            value_at: Gives what stands at a recipe path; None is nothing.

        Raises:
            CannotCompute: If there is no value; says why.
        """
        result = _compute(self._root, value_at)
        if result.unit is not None:
            return _as_length(result)
        if result.number.denominator == 1 and abs(result.number) < 2**63:
            return int(result.number)
        return _as_float(result.number)


def _compute(node: Node, value_at: Callable[[str], Any]) -> Quantity:
    if node.kind == "number":
        return node.value
    if node.kind == "name":
        return _looked_up(node.value, value_at(node.value))
    parts = [_compute(part, value_at) for part in node.parts]
    if node.kind == "negative":
        return Quantity(-parts[0].number, parts[0].unit)
    result = _applied(node.value, parts) if node.kind == "function" else (
        _operated(node.value, parts[0], parts[1]))  # fmt: skip
    bits = max(result.number.numerator.bit_length(), result.number.denominator.bit_length())
    if bits > _MAX_BITS:
        raise CannotCompute(f"{node.value} gives a number that is too large to compute with")
    return result


def _looked_up(path: str, value: Any) -> Quantity:
    if value is None:
        raise CannotCompute(f"{path} is null or not there")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise CannotCompute(f"{path} is {written(value)}, neither a number nor a length")
    if isinstance(value, float) and not math.isfinite(value):
        raise CannotCompute(f"{path} is {value}, which cannot be computed with")
    if not isinstance(value, str):
        return Quantity(Fraction(repr(value)))
    try:
        if (number := read_number(value)) is not None:
            return Quantity(number)
        length = Duration.parse(value)
    except ValueError:
        message = f"{path} is {written(value)}, neither a number nor a length"
        raise CannotCompute(message) from None
    return Quantity(length.value, length.unit)


def _operated(sign: str, left: Quantity, right: Quantity) -> Quantity:
    if sign in ("+", "-"):
        _refuse_mixing(sign, left, right)
        number = left.number + (right.number if sign == "+" else -right.number)
        return Quantity(number, left.unit)
    if sign == "*":
        if left.unit and right.unit:
            raise CannotCompute(f"{left} * {right}: a length times a length is nothing")
        return Quantity(left.number * right.number, left.unit or right.unit)
    if sign == "**":
        return _raised(left, right)
    if right.number == 0:
        raise CannotCompute(f"divides by 0 ({left} {sign} {right})")
    if right.unit is not None:
        _refuse_mixing(sign, left, right)
    if sign == "/":
        return Quantity(left.number / right.number, None if right.unit else left.unit)
    if sign == "//":
        number = Fraction(math.floor(left.number / right.number))
        return Quantity(number, None if right.unit else left.unit)
    return Quantity(left.number % right.number, left.unit)


def _raised(base: Quantity, exponent: Quantity) -> Quantity:
    if base.unit or exponent.unit:
        raise CannotCompute(f"{base} ** {exponent}: powers are of numbers, not of lengths")
    if abs(exponent.number) > MAX_EXPONENT:
        raise CannotCompute(f"the exponent {exponent} is outside -{MAX_EXPONENT} to {MAX_EXPONENT}")
    if base.number == 0 and exponent.number < 0:
        raise CannotCompute(f"divides by 0 ({base} ** {exponent})")
    if exponent.number.denominator == 1:
        bits = max(base.number.numerator.bit_length(), base.number.denominator.bit_length())
        if bits * abs(exponent.number) > _MAX_BITS:
            raise CannotCompute(f"{base} ** {exponent} is too large to compute with")
        return Quantity(base.number ** int(exponent.number))
    if base.number < 0:
        raise CannotCompute(f"{base} ** {exponent}: a root of a number below 0")
    try:
        power = float(base.number) ** float(exponent.number)
    except OverflowError:
        raise CannotCompute(f"{base} ** {exponent} is too large to compute with") from None
    return Quantity(Fraction(repr(power)))


def _applied(name: str, parts: list[Quantity]) -> Quantity:
    first = parts[0]
    if name in ("min", "max"):
        for other in parts[1:]:
            _refuse_mixing(name, first, other)
        return min(parts) if name == "min" else max(parts)
    if name in ("round", "floor", "ceil"):
        whole = {"floor": math.floor, "ceil": math.ceil, "round": _nearest_whole}[name]
        return Quantity(Fraction(whole(first.number)), first.unit)
    if first.unit is not None:
        raise CannotCompute(f"{name} takes a number, got {first}")
    if name == "sqrt":
        if first.number < 0:
            raise CannotCompute(f"sqrt of {first}, which is below 0")
        return Quantity(Fraction(repr(math.sqrt(_as_float(first.number)))))
    if (value := _as_float(first.number)) <= 0:
        raise CannotCompute(f"log2 of {first}, which is not above 0")
    return Quantity(Fraction(repr(math.log2(value))))


def _nearest_whole(number: Fraction) -> int:
    # Halves away from zero, as durations become steps; Python's own round(2.5) is 2.
    magnitude = math.floor(abs(number) + Fraction(1, 2))
    return magnitude if number >= 0 else -magnitude


def _refuse_mixing(operation: str, left: Quantity, right: Quantity) -> None:
    if left.unit != right.unit:
        raise CannotCompute(
            f"{operation} of {left} and {right}: {_kind(left)} and {_kind(right)} do not go "
            "together"
        )


def _kind(quantity: Quantity) -> str:
    return "a number without a unit" if quantity.unit is None else quantity.unit


def _as_length(quantity: Quantity) -> str:
    assert quantity.unit is not None
    if quantity.number < 0:
        raise CannotCompute(f"gives {quantity}, and a length is 0 or more")
    try:
        text = str(Duration(quantity.number, quantity.unit))
        Duration.parse(text)  # what is too long to be read is no length that a recipe could hold
        return text
    except ValueError as error:
        raise CannotCompute(f"gives {quantity}: {error}; use round(...)") from None


def _as_float(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        raise CannotCompute("gives a number that is too large") from None
