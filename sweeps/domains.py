"""What one key of a search space may take: a list of values or a range, and on which condition."""

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PlainValidator, SerializeAsAny, field_validator

from resnet_core.problems import Loc, did_you_mean
from resnet_core.strict import StrictModel

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

MAX_LISTED_INTEGERS = 64
"""A range of at most this many integers is checked value by value, a longer one at its ends."""

_ENCODER = json.JSONEncoder(sort_keys=True)
_Bounds = tuple[float, float]
_IntegerBounds = tuple[int, int]


class Conditional(StrictModel):
    """What every kind of domain has: the condition under which its key varies at all."""

    when: dict[str, tuple[Any, ...]] = Field(
        default={},
        description="Recipe path -> value or values; the key varies only where all of them hold.",
    )

    @field_validator("when", mode="before")
    @classmethod
    def _read_when(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("must be a mapping such as {model.name: [resnet50]}")
        lists = {k: v if isinstance(v, list | tuple) else [v] for k, v in value.items()}
        for path, allowed in lists.items():
            if not allowed:
                raise ValueError(f"{path}: an empty list of values never holds")
            if any(isinstance(one, dict | list) for one in allowed):
                raise ValueError(f"{path}: a condition compares with text, numbers, true, false")
        return lists


class Choice(Conditional):
    """One of the listed values; mappings and lists stand for whole sub-trees of the recipe."""

    choice: tuple[Any, ...] = Field(min_length=1)

    @field_validator("choice", mode="before")
    @classmethod
    def _refuse_duplicates(cls, values: Any) -> Any:
        if isinstance(values, list | tuple):
            seen: set[str] = set()
            for value in values:
                if (text := canonical(value)) in seen:
                    raise ValueError(f"{text} stands there twice")
                seen.add(text)
        return values

    @property
    def is_discrete(self) -> bool:
        """Whether `values_to_check` is everything the key can take."""
        return True

    @property
    def has_subtrees(self) -> bool:
        """Whether a value is a mapping or a list, for which Optuna gets its JSON text."""
        return any(isinstance(value, dict | list) for value in self.choice)

    def values_to_check(self) -> list[tuple[Loc, Any]]:
        """Every value, with its place below the key."""
        return [(("choice", index), value) for index, value in enumerate(self.choice)]

    def suggest(self, path: str, trial: "BaseTrial") -> Any:
        """Let Optuna choose."""
        values = {self.parameter(value): value for value in self.choice}
        return values[trial.suggest_categorical(path, list(values))]

    def parameter(self, value: Any) -> Any:
        """The scalar that stands for a value in Optuna."""
        return canonical(value) if self.has_subtrees else value


class Uniform(Conditional):
    """Any number between two bounds, all equally likely."""

    uniform: _Bounds

    @field_validator("uniform")
    @classmethod
    def _check(cls, bounds: _Bounds) -> _Bounds:
        return _ordered(bounds)

    @property
    def is_discrete(self) -> bool:
        """Never."""
        return False

    def values_to_check(self) -> list[tuple[Loc, Any]]:
        """Both bounds, with their places below the key."""
        return [(("uniform", index), bound) for index, bound in enumerate(self.uniform)]

    def suggest(self, path: str, trial: "BaseTrial") -> float:
        """Let Optuna choose."""
        return trial.suggest_float(path, *self.uniform)

    def parameter(self, value: float) -> float:
        """The number itself."""
        return value


class LogUniform(Conditional):
    """Any number between two bounds, all orders of magnitude equally likely."""

    loguniform: _Bounds

    @field_validator("loguniform")
    @classmethod
    def _check(cls, bounds: _Bounds) -> _Bounds:
        if bounds[0] <= 0:
            raise ValueError(f"a logarithm needs a lower bound above 0, got {bounds[0]:g}")
        return _ordered(bounds)

    @property
    def is_discrete(self) -> bool:
        """Never."""
        return False

    def values_to_check(self) -> list[tuple[Loc, Any]]:
        """Both bounds, with their places below the key."""
        return [(("loguniform", index), bound) for index, bound in enumerate(self.loguniform)]

    def suggest(self, path: str, trial: "BaseTrial") -> float:
        """Let Optuna choose."""
        return trial.suggest_float(path, *self.loguniform, log=True)

    def parameter(self, value: float) -> float:
        """The number itself."""
        return value


class IntRange(Conditional):
    """Any whole number between two bounds, both included, all equally likely."""

    int: _IntegerBounds

    @field_validator("int")
    @classmethod
    def _check(cls, bounds: _IntegerBounds) -> _IntegerBounds:
        return _ordered(bounds)

    @property
    def is_discrete(self) -> bool:
        """Whether the range is short enough to be checked value by value."""
        return self.int[1] - self.int[0] < MAX_LISTED_INTEGERS

    def values_to_check(self) -> list[tuple[Loc, Any]]:
        """The bounds, and what lies between them if that is not too much."""
        low, high = self.int
        between = range(low + 1, high) if self.is_discrete else ()
        inner: list[tuple[Loc, Any]] = [(("int",), value) for value in between]
        return [(("int", 0), low), *inner, (("int", 1), high)]

    def suggest(self, path: str, trial: "BaseTrial") -> Any:
        """Let Optuna choose."""
        return trial.suggest_int(path, *self.int)

    def parameter(self, value: Any) -> Any:
        """The number itself."""
        return value


KINDS: dict[str, type[Choice | Uniform | LogUniform | IntRange]] = {
    "choice": Choice,
    "uniform": Uniform,
    "loguniform": LogUniform,
    "int": IntRange,
}


def read_domain(value: Any) -> Choice | Uniform | LogUniform | IntRange:
    """Make the domain whose kind is the key that the mapping has.

    Raises:
        ValueError: If it has none of the kinds, or several; pydantic's own for what is inside.
    """
    if isinstance(value, Conditional):
        return value  # pyright: ignore[reportReturnType] (its only subclasses are the kinds)
    allowed = "one of {choice: [...]}, {uniform: [low, high]}, {loguniform: [...]}, {int: [...]}"
    if not isinstance(value, dict):
        raise ValueError(f"must be {allowed}, with or without when:")
    kinds = [kind for kind in KINDS if kind in value]
    if not kinds:
        hints = [did_you_mean(str(key), KINDS) for key in value if key != "when"]
        raise ValueError(f"must be {allowed}{next(filter(None, hints), '')}")
    if len(kinds) > 1:
        raise ValueError(f"must be {allowed}, got {' and '.join(kinds)} together")
    return KINDS[kinds[0]].model_validate(value)


Domain = Annotated[
    SerializeAsAny[Choice | Uniform | LogUniform | IntRange],
    PlainValidator(read_domain, json_schema_input_type=Choice | Uniform | LogUniform | IntRange),
]


def canonical(value: Any) -> str:
    """JSON text that is the same for equal values: keys sorted, 1.0 written as 1."""
    return _ENCODER.encode(_with_whole_floats_as_ints(value))


def _with_whole_floats_as_ints(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_whole_floats_as_ints(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_whole_floats_as_ints(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _ordered(bounds: Any) -> Any:
    low, high = bounds
    if low > high:
        raise ValueError(f"the bounds are inverted; write [{high:g}, {low:g}]")
    if low == high:
        raise ValueError(f"both bounds are {low:g}: nothing varies; remove the key")
    return bounds
