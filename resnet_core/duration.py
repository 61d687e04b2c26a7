"""Lengths as written in a recipe: of training ("8ep", "100ba", "0.1dur") or of time ("30min").

``ep`` counts epochs, ``ba`` batches (optimizer steps), ``dur`` is a share of the whole training;
``sec``, ``min`` and ``h`` are wall-clock time. Lengths are exact fractions of the decimal text, so
0.1dur of 90 steps is 9 steps and not 9.000001. One rule makes steps of them: the nearest whole
number, halves up.
"""

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Annotated, Any, Literal, Self, cast, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

DurationUnit = Literal["ep", "ba", "dur", "sec", "min", "h"]

_UNITS: tuple[str, ...] = get_args(DurationUnit)
_SECONDS = {"sec": 1, "min": 60, "h": 3600}
_WORDS = {
    "ep": "ep", "epoch": "ep", "epochs": "ep", "ba": "ba", "batch": "ba", "batches": "ba",
    "step": "ba", "steps": "ba", "iterations": "ba", "dur": "dur", "duration": "dur",
    "s": "sec", "seconds": "sec", "minutes": "min", "hours": "h", "hr": "h",
}  # fmt: skip
_EXAMPLES = "8ep (epochs), 100ba (batches) or 0.1dur (a share of the whole training)"
_TIME_EXAMPLES = "90sec, 30min or 2h"
_LONGEST_TEXT = 40
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_PATTERN = re.compile(rf"({_NUMBER}) ?([A-Za-z%]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of training: a number that is 0 or more, and its unit.

    Equal lengths in one unit are equal and hash alike ("1ep" and "1.0ep"); lengths in different
    units never are, because how they compare depends on the data set.

    Attributes:
        value: How many of the unit, exact; whole for ``ba``.
        unit: ``ep`` epochs, ``ba`` optimizer steps, ``dur`` share of the whole training, ``sec``,
            ``min`` and ``h`` time.
    """

    value: Fraction
    unit: DurationUnit

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError(f"a duration is 0 or more, got {self.value}{self.unit}")
        if self.unit == "ba" and self.value.denominator != 1:
            raise ValueError(f"batches are whole, got {float(self.value):g}ba")
        if 10**_LONGEST_TEXT % self.value.denominator != 0:
            raise ValueError(f"a duration is a decimal number, got {self.value}{self.unit}")

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a duration as written in a recipe.

        Args:
            text: A number and a unit, such as "8ep"; a Duration is returned as it is.

        Raises:
            ValueError: If the unit is missing or unknown, or the number is not 0 or more.
        """
        return cls._read(text, _EXAMPLES)

    @classmethod
    def _read(cls, text: object, examples: str) -> Self:
        if isinstance(text, cls):
            return text
        if isinstance(text, int | float) and not isinstance(text, bool):
            raise ValueError(f"{text} has no unit; write {examples}")
        if not isinstance(text, str):
            raise ValueError(f"a duration is text such as {examples}, got {text!r}")
        match = _PATTERN.fullmatch(text.strip()) if len(text) <= _LONGEST_TEXT else None
        if match is None:
            raise ValueError(_why_unreadable(text.strip(), examples))
        number, unit = match.groups()
        if unit not in _UNITS:
            near = get_close_matches(unit.lower(), _WORDS, n=1)
            hint = f"did you mean {number}{_WORDS[near[0]]}? " if near else ""
            raise ValueError(f"unknown unit {unit!r} in {text!r}; {hint}write {examples}")
        return cls(Fraction(number), cast(DurationUnit, unit))

    @classmethod
    def parse_time(cls, text: object) -> Self:
        """Read wall-clock time above 0, such as "30min".

        Raises:
            ValueError: As `parse`, with examples of time; or if it is no time, or 0.
        """
        length = cls._read(text, _TIME_EXAMPLES)
        if not length.is_time:
            raise ValueError(f"{length} is no wall-clock time; write {_TIME_EXAMPLES}")
        _is_positive(length)
        return length

    @property
    def is_time(self) -> bool:
        """Whether the unit is one of wall-clock time."""
        return self.unit in _SECONDS

    @property
    def seconds(self) -> float:
        """Wall-clock time.

        Raises:
            ValueError: If the unit counts steps.
        """
        if not self.is_time:
            raise ValueError(f"{self} is no time; write {_TIME_EXAMPLES}")
        return float(self.value * _SECONDS[self.unit])

    def steps(
        self,
        steps_per_epoch: int,
        total_steps: int | None = None,
        *,
        scale: Fraction = Fraction(1),
    ) -> int:
        """Number of optimizer steps, rounded to the nearest whole step, halves up.

        Args:
            steps_per_epoch: Optimizer steps in one epoch, at least 1.
            total_steps: Steps of the whole training; needed by ``dur`` only.
            scale: Multiplies lengths in ``ep`` and ``ba`` before rounding; a ``dur`` is a share of
                a training that was scaled already.

        Raises:
            ValueError: If ``steps_per_epoch`` is below 1, ``dur`` has no ``total_steps``, or the
                unit is one of time.
        """
        if self.is_time:
            raise ValueError(f"{self} is wall-clock time, which is no number of steps")
        if steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch must be at least 1, got {steps_per_epoch}")
        if self.unit == "dur" and total_steps is None:
            raise ValueError(f"{self} is a share of the whole training: give total_steps")
        unit_steps = {
            "ep": steps_per_epoch * scale,
            "ba": scale,
            "dur": Fraction(total_steps or 0),
        }[self.unit]
        return math.floor(self.value * unit_steps + Fraction(1, 2))

    def __str__(self) -> str:
        whole, rest = divmod(self.value, 1)
        digits = str(int(rest * 10**_LONGEST_TEXT)).rjust(_LONGEST_TEXT, "0").rstrip("0")
        return f"{whole}{'.' + digits if digits else ''}{self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return _json_schema(_UNITS, ["8ep", "100ba", "0.1dur", "30min"])


def _json_schema(units: tuple[str, ...], examples: list[str]) -> JsonSchemaValue:
    pattern = rf"^{_NUMBER} ?({'|'.join(units)})$"
    return {"type": "string", "pattern": pattern, "examples": examples}


def _counts_steps(length: Duration) -> Duration:
    if length.is_time:
        raise ValueError(f"{length} is wall-clock time, and a length is needed here: {_EXAMPLES}")
    return length


def _is_positive(length: Duration) -> Duration:
    if length.value == 0:
        raise ValueError(f"must be longer than 0, got {length}")
    return length


StepLength = Annotated[
    Duration,
    AfterValidator(_counts_steps),
    WithJsonSchema(_json_schema(("ep", "ba", "dur"), ["8ep", "100ba", "0.1dur"])),
]
"""A duration that optimizer steps can be made of."""

PositiveLength = Annotated[StepLength, AfterValidator(_is_positive)]
"""The same, longer than 0."""

WallClock = Annotated[
    Duration,
    BeforeValidator(Duration.parse_time),
    WithJsonSchema(_json_schema(tuple(_SECONDS), ["90sec", "30min", "2h"])),
]
"""A duration in seconds, minutes or hours, above 0."""


def _why_unreadable(text: str, examples: str) -> str:
    if not text:
        return f"a duration is empty; write {examples}"
    if text.startswith("-"):
        return f"a duration is 0 or more, got {text!r}"
    if re.fullmatch(_NUMBER, text, re.ASCII):
        return f"{text} has no unit; write {examples}"
    return f"cannot read {text[:_LONGEST_TEXT]!r} as a duration; write {examples}"
