"""Keys of a search space whose values the searcher chooses: what all can do, and the lists."""

import random
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from resnet_core.problems import Loc
from sweeps.space.conditions import Conditional, canonical

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial


class Sampled(Conditional):
    """A key that Optuna knows as a parameter."""

    @property
    def num_values(self) -> int | None:
        """How many values the key can take; None where they cannot be counted."""
        raise NotImplementedError

    def nth_value(self, index: int) -> Any:
        """One of the `num_values` values, counted from 0."""
        raise NotImplementedError

    @property
    def is_discrete(self) -> bool:
        """Whether `values_to_check` is everything the key can take."""
        raise NotImplementedError

    def values_to_check(self) -> list[tuple[Loc, Any]]:
        """Every value, or the ends if there are too many, with their places below the key."""
        raise NotImplementedError

    def contains(self, value: Any) -> bool:
        """Whether the key can take a value."""
        raise NotImplementedError

    def draw(self, rng: random.Random) -> Any:
        """A value as random search would choose it."""
        raise NotImplementedError

    @property
    def distribution(self) -> "BaseDistribution":
        """What Optuna draws the parameter from."""
        raise NotImplementedError

    def suggest(self, path: str, trial: "BaseTrial") -> Any:
        """Let Optuna choose."""
        raise NotImplementedError

    def parameter(self, value: Any) -> Any:
        """What stands for a value in Optuna."""
        raise NotImplementedError


class Listed(Sampled):
    """One of some listed values; mappings and lists stand for whole sub-trees of the recipe."""

    @property
    def values(self) -> tuple[Any, ...]:
        """In the order of the file."""
        return getattr(self, self.kind)

    @property
    def num_values(self) -> int:
        """How many are listed."""
        return len(self.values)

    def nth_value(self, index: int) -> Any:
        """See `Sampled.nth_value`."""
        return self.values[index]

    @property
    def is_discrete(self) -> bool:
        """Always."""
        return True

    @property
    def is_told_as_text(self) -> bool:
        """Whether Optuna gets JSON texts: of sub-trees, and where it would take 1 for true."""
        if any(isinstance(value, dict | list) for value in self.values):
            return True
        return len(set(self.values)) < len(self.values)

    def values_to_check(self) -> list[tuple[Loc, Any]]:
        """Every value, with its place below the key."""
        return [((self.kind, index), value) for index, value in enumerate(self.values)]

    def contains(self, value: Any) -> bool:
        """Whether an equal value is listed."""
        return canonical(value) in {canonical(one) for one in self.values}

    def draw(self, rng: random.Random) -> Any:
        """See `Sampled.draw`."""
        return rng.choice(self.values)

    @property
    def distribution(self) -> "BaseDistribution":
        """See `Sampled.distribution`."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([self.parameter(value) for value in self.values])

    def suggest(self, path: str, trial: "BaseTrial") -> Any:
        """See `Sampled.suggest`."""
        values = {self.parameter(value): value for value in self.values}
        return values[trial.suggest_categorical(path, list(values))]

    def parameter(self, value: Any) -> Any:
        """The scalar that stands for a value in Optuna."""
        return canonical(value) if self.is_told_as_text else value


def repeated(values: Any) -> str | None:
    """The JSON text of a value that stands in a list twice, or None."""
    seen: set[str] = set()
    for value in values:
        if (text := canonical(value)) in seen:
            return text
        seen.add(text)
    return None


def _refuse_repeated(values: Any) -> Any:
    if isinstance(values, list | tuple) and (text := repeated(values)) is not None:
        raise ValueError(f"{text} stands there twice")
    return values


class Choice(Listed):
    """One of the listed values, as the search algorithm likes."""

    kind: ClassVar[str] = "choice"

    choice: tuple[Any, ...] = Field(min_length=1)

    _check_values = field_validator("choice", mode="before")(_refuse_repeated)


class Grid(Listed):
    """Each of the listed values in turn, whatever the search algorithm."""

    kind: ClassVar[str] = "grid"

    grid: tuple[Any, ...] = Field(min_length=1)

    _check_values = field_validator("grid", mode="before")(_refuse_repeated)
