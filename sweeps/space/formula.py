"""Reading a formula such as ``0.1 * train_batch_size / 256`` into a tree; nothing runs here.

Numbers are exact fractions of the decimal text; a number with a unit ("8ep") is a length. There
are + - * / // % ** and parentheses, with Python's precedence.
"""

import re
from fractions import Fraction
from typing import Any, NamedTuple, NoReturn, get_args

from resnet_core.duration import DurationUnit
from resnet_core.plain_errors import written
from resnet_core.problems import did_you_mean

MAX_LENGTH = 200
MAX_DEPTH = 20

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_UNITS: tuple[DurationUnit, ...] = get_args(DurationUnit)
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>{_NUMBER})(?P<unit>[A-Za-z_]\w*)?"
    rf"|(?P<name>{_NAME}(?:\.{_NAME})*)|(?P<sign>\*\*|//|[-+*/%(),]))",
    re.ASCII,
)
_NUMBER_TEXT = re.compile(rf"[-+]?{_NUMBER}", re.ASCII)
_LARGEST_EXPONENT = 400  # a float ends at 1e308
_ONE_ARGUMENT = ("round", "floor", "ceil", "sqrt", "log2")
_FUNCTIONS = ("min", "max", *_ONE_ARGUMENT)


class Quantity(NamedTuple):
    """A number, or with a unit a length; lengths may be below 0 on the way."""

    number: Fraction
    unit: DurationUnit | None = None

    def __str__(self) -> str:
        try:
            return f"{float(self.number):g}{self.unit or ''}"
        except OverflowError:
            return f"a number of {len(str(int(self.number)))} digits"


class Node(NamedTuple):
    """A part of a formula.

    Attributes:
        kind: ``number``, ``name``, ``negative``, ``operator`` or ``function``.
        value: The quantity, the recipe path, or which operator or function.
        parts: What an operator or function is applied to.
    """

    kind: str
    value: Any
    parts: tuple["Node", ...] = ()


def parse_formula(text: object) -> tuple[Node, tuple[str, ...]]:
    """Read a formula.

    Args:
        text: At most `MAX_LENGTH` characters.

    Returns:
        Its tree, and the recipe paths in it, each once, in reading order.

    Raises:
        ValueError: If it is none; says what stands at which character.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"must be a formula such as 2 * train_batch_size, got {written(text)}")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a formula of {len(text)} characters; at most {MAX_LENGTH} are read")
    parser = _Parser(text)
    root = parser.whole()
    return root, tuple(dict.fromkeys(parser.names))


def read_number(text: str) -> Fraction | None:
    """The decimal number that a text is, or None.

    Raises:
        ValueError: If it has more than some hundred digits.
    """
    text = text.strip()
    return _fraction(text) if _NUMBER_TEXT.fullmatch(text) else None


class _Parser:
    """Recursive descent: sum, product, sign, power, atom; one method each."""

    def __init__(self, text: str) -> None:
        self.names: list[str] = []
        self._text = text
        self._tokens: list[tuple[str, Any, int]] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                start = position + len(text[position:]) - len(text[position:].lstrip())
                self._refuse(f"{text[start]!r} has no meaning", start)
            kind = "number" if match["number"] else "name" if match["name"] else "sign"
            self._tokens.append((kind, self._read(match), match.start(kind)))
            position = match.end()
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._sum()
        if self._next < len(self._tokens):
            _, value, position = self._tokens[self._next]
            self._refuse(f"{_shown(value)} is one too many", position)
        return node

    def _read(self, match: re.Match[str]) -> Any:
        if not match["number"]:
            return match["name"] or match["sign"]
        unit = match["unit"]
        if unit is not None and unit not in _UNITS:
            hint = did_you_mean(unit, _UNITS)
            message = f"unknown unit {unit!r}; units are {', '.join(_UNITS)}{hint}"
            self._refuse(message, match.start("unit"))
        return Quantity(_fraction(match["number"]), unit)

    def _sum(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} parentheses deep", 0)
        node = self._product()
        while (sign := self._take("+", "-")) is not None:
            node = Node("operator", sign, (node, self._product()))
        self._depth -= 1
        return node

    def _product(self) -> Node:
        node = self._signed()
        while (sign := self._take("*", "//", "/", "%")) is not None:
            node = Node("operator", sign, (node, self._signed()))
        return node

    def _signed(self) -> Node:
        is_negative = False
        while (sign := self._take("-", "+")) is not None:
            is_negative ^= sign == "-"
        node = self._power()
        return Node("negative", None, (node,)) if is_negative else node

    def _power(self) -> Node:
        base = self._atom()
        if self._take("**") is None:
            return base
        self._depth += 1  # of 2**2**2**..., which is no loop here
        if self._depth > MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} powers of powers", 0)
        node = Node("operator", "**", (base, self._signed()))
        self._depth -= 1
        return node

    def _atom(self) -> Node:
        if self._next == len(self._tokens):
            self._refuse("ends too early", len(self._text))
        kind, value, position = self._tokens[self._next]
        self._next += 1
        if kind == "number":
            return Node("number", value)
        if kind == "name":
            if self._take("(") is not None:
                return self._function(value, position)
            self.names.append(value)
            return Node("name", value)
        if value != "(":
            self._refuse(f"{value!r} where a number or a recipe path belongs", position)
        node = self._sum()
        self._expect_closing()
        return node

    def _function(self, name: str, position: int) -> Node:
        if name not in _FUNCTIONS:
            hint = did_you_mean(name, _FUNCTIONS)
            self._refuse(
                f"no function {name!r}; functions are {', '.join(_FUNCTIONS)}{hint}", position
            )
        parts = [self._sum()]
        while self._take(",") is not None:
            parts.append(self._sum())
        self._expect_closing()
        if name in _ONE_ARGUMENT and len(parts) > 1:
            self._refuse(f"{name} takes one value, got {len(parts)}", position)
        if name not in _ONE_ARGUMENT and len(parts) < 2:
            self._refuse(f"{name} takes two values or more, got 1", position)
        return Node("function", name, tuple(parts))

    def _take(self, *signs: str) -> str | None:
        if self._next < len(self._tokens):
            kind, value, _ = self._tokens[self._next]
            if kind == "sign" and value in signs:
                self._next += 1
                return value
        return None

    def _expect_closing(self) -> None:
        if self._take(")") is None:
            at_end = self._next == len(self._tokens)
            position = len(self._text) if at_end else self._tokens[self._next][2]
            self._refuse("')' is missing", position)

    def _refuse(self, message: str, position: int) -> NoReturn:
        raise ValueError(f"cannot read {self._text!r}: {message} (character {position + 1})")


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, Quantity) else repr(value)


def _fraction(text: str) -> Fraction:
    mantissa, _, exponent = text.lower().partition("e")
    if len(text) > _LARGEST_EXPONENT or (exponent and abs(int(exponent)) > _LARGEST_EXPONENT):
        raise ValueError(f"{text} is no number that a recipe can hold")
    return Fraction(f"{mantissa}e{exponent or 0}")
