"""Keys of a search space that nobody chooses: fixed to a value, or computed from other keys."""

from functools import lru_cache
from typing import Any, ClassVar

from pydantic import Field, field_validator

from resnet_core.problems import Loc
from sweeps.space.conditions import Conditional
from sweeps.space.derive import Expression


class Fixed(Conditional):
    """One value, for every trial but trial 0."""

    kind: ClassVar[str] = "value"

    value: Any

    def values_to_check(self) -> list[tuple[Loc, Any]]:
        """The value, with its place below the key."""
        return [(("value",), self.value)]


class Derived(Conditional):
    """A value computed from the trial's other values, for every trial but trial 0."""

    kind: ClassVar[str] = "derive"

    derive: str = Field(
        description="Arithmetic over recipe paths, numbers and lengths: 0.1 * train_batch_size."
    )

    @field_validator("derive", mode="before")
    @classmethod
    def _check(cls, text: Any) -> str:
        return Expression.parse(text).text

    @property
    def expression(self) -> Expression:
        """The formula, read."""
        return _read(self.derive)

    def values_to_check(self) -> list[tuple[Loc, Any]]:
        """None: what it comes to, only whole points tell."""
        return []


_read = lru_cache(maxsize=1024)(Expression.parse)
