"""The search space: which recipe paths vary, in what order, and what a trial overrides.

A point of the space is a flat mapping of recipe paths to values. A key with `when` is part of it
only where its conditions hold in the trial's own recipe; elsewhere the recipe's value stands. So
no trial ever carries a value that its model does not use. Fixed and derived keys are part of it
too; trial 0, the unmodified recipe, is the empty point.
"""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from resnet_core.dotted_paths import get_path, set_path
from sweeps.space.derive import CannotCompute
from sweeps.space.domains import (
    Choice,
    Derived,
    Domain,
    Fixed,
    IntRange,
    LogUniform,
    Sampled,
    Uniform,
    canonical,
)
from sweeps.space.keys import CircularConditions, Keys
from sweeps.space.labels import label, short_names, short_value
from sweeps.space.odometer import Choose, every_way

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

__all__ = [
    "CannotDerive", "Choice", "CircularConditions", "Domain", "IntRange", "LogUniform", "Space",
    "Uniform", "apply_overrides", "label", "short_names", "short_value",
]  # fmt: skip

Pick = Callable[[str, Any], Any]
"""Gets the path and the domain of a key that is chosen, and tells its value."""


class CannotDerive(ValueError):
    """A point whose derived key ``path`` has no value: the point is impossible."""

    def __init__(self, path: str, text: str, reason: str) -> None:
        super().__init__(f"{path}: {text}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class Space(Keys):
    """Domains by recipe path, in the order of the file, around a recipe.

    Attributes:
        domains: Recipe path -> what it may take.
        recipe_data: Trial 0, complete; conditions on paths that do not vary look here.
    """

    recipe_data: dict[str, Any]

    def suggest(self, trial: "BaseTrial") -> dict[str, Any]:
        """Ask an Optuna trial for a point: recipe path -> value, only what is active.

        A sub-tree is known to Optuna by its JSON text; the override carries the sub-tree itself.

        Raises:
            CannotDerive: If a derived key has no value there.
        """
        return self.assemble(lambda path, domain: domain.suggest(path, trial))

    def parameters(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """Optuna's parameters for a point; of keys that are not sampled it has none."""
        return {
            path: self.sampled[path].parameter(value)
            for path, value in overrides.items()
            if path in self.sampled
        }

    def distributions(self, overrides: dict[str, Any]) -> dict[str, "BaseDistribution"]:
        """Optuna's distributions, for the same keys as `parameters`."""
        return {path: self.sampled[path].distribution for path in self.parameters(overrides)}

    def contains(self, overrides: dict[str, Any]) -> bool:
        """Whether this space can suggest exactly these overrides."""

        def pick(path: str, domain: Sampled) -> Any:
            if path not in overrides or not domain.contains(overrides[path]):
                raise LookupError(path)
            return overrides[path]

        try:
            return canonical(self.assemble(pick)) == canonical(overrides)
        except (LookupError, CannotDerive):
            return False

    def assemble(
        self, pick: Pick, *, only: Collection[str] | None = None, leave_gaps: bool = False
    ) -> dict[str, Any]:
        """Pick or compute a value for every active key, each after what it looks at.

        Args:
            pick: Gets a path and its domain.
            only: Keys to go through; what they look at must be among them. None: all.
            leave_gaps: Give a derived key that has no value None instead of raising.

        Returns:
            Recipe path -> value, in the order of the file.

        Raises:
            CannotDerive: If a derived key has no value.
        """
        picked: dict[str, Any] = {}
        for path in self.order:
            if (only is not None and path not in only) or not self.is_active(path, picked):
                continue
            domain = self.domains[path]
            try:
                picked[path] = self._computed(path, picked) if not isinstance(
                    domain, Sampled) else pick(path, domain)  # fmt: skip
            except CannotDerive:
                if not leave_gaps:
                    raise
                picked[path] = None
        return {path: picked[path] for path in self.domains if path in picked}

    def recomputed(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """The same keys, with the derived ones computed again from the others.

        Raises:
            CannotDerive: If one of them has no value.
        """
        derived = [path for path in self.order if isinstance(self.domains[path], Derived)]
        overrides = dict(overrides)
        for path in derived:
            if path in overrides:
                overrides[path] = self._computed(path, overrides)
        return overrides

    def _computed(self, path: str, overrides: dict[str, Any]) -> Any:
        domain = self.domains[path]
        if isinstance(domain, Fixed):
            return domain.value
        assert isinstance(domain, Derived)
        try:
            return domain.expression.compute(lambda name: self.value_at(name, overrides))
        except CannotCompute as error:
            raise CannotDerive(path, domain.derive, str(error)) from None

    def is_active(self, path: str, overrides: dict[str, Any]) -> bool:
        """Whether the conditions of a key hold in the recipe with these overrides."""
        return all(
            any(canonical(self.value_at(other, overrides)) == canonical(one) for one in allowed)
            for other, allowed in self.domains[path].when.items()
        )

    def value_at(self, path: str, overrides: dict[str, Any]) -> Any:
        """What a trial's recipe holds at a path; None where nothing is written."""
        deciding = [key for key in self.deciding_keys(path) if key in overrides]
        try:
            if not deciding:
                return get_path(self.recipe_data, path)
            key = deciding[-1]
            below = path.removeprefix(key).removeprefix(".")
            return get_path(overrides[key], below) if below else overrides[key]
        except KeyError:
            return None

    def grid_points(self, *, every_key: bool = False) -> Iterator[dict[str, Any]]:
        """Every combination of the grid's values, each once; the last active key turns fastest.

        Args:
            every_key: Of all sampled keys instead of those of kind grid, all countable; points are
                then complete, fixed and derived keys included, and impossible ones left out.

        Yields:
            Recipe path -> value.
        """
        keys = list(self.sampled) if every_key else self.grid_keys
        only = None if every_key else {*keys, *(key for path in keys for key in self.needs(path))}

        def run(choose: Choose) -> dict[str, Any] | None:
            try:
                return self.assemble(
                    lambda _, domain: domain.nth_value(choose(domain.num_values)),
                    only=only,
                    leave_gaps=not every_key,
                )
            except CannotDerive:
                return None

        for point in every_way(run):
            if point is not None:
                yield point if every_key else {key: point[key] for key in keys if key in point}

    @overload
    def grid_size(self, limit: None = None, *, every_key: bool = False) -> int: ...
    @overload
    def grid_size(self, limit: int, *, every_key: bool = False) -> int | None: ...
    def grid_size(self, limit: int | None = None, *, every_key: bool = False) -> int | None:
        """How many points `grid_points` has, those without a derived value included.

        Only keys that other keys look at are gone through; the others are multiplied.

        Args:
            limit: The most combinations to go through.
            every_key: As in `grid_points`.

        Returns:
            The exact number; None if the limit was reached, so that there are more points than it.
        """
        keys = list(self.sampled) if every_key else self.grid_keys
        needed = {key for path in keys for key in self.needs(path)}
        free = [path for path in keys if path not in needed]
        always = [path for path in free if not self.domains[path].when]
        rest = [path for path in free if self.domains[path].when]

        def run(choose: Choose) -> int:
            point = self.assemble(
                lambda _, domain: domain.nth_value(choose(domain.num_values)),
                only=needed,
                leave_gaps=True,
            )
            return _product(self.sampled[p].num_values for p in rest if self.is_active(p, point))

        size = 0
        for count, num_points in enumerate(every_way(run), start=1):
            if limit is not None and count > limit:
                return None
            size += num_points
        return size * _product(self.sampled[path].num_values for path in always)


def _product(numbers: Any) -> int:
    return math.prod(number or 1 for number in numbers)


def apply_overrides(recipe_data: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """A copy of a recipe's data with overrides applied; the input is left unchanged.

    A mapping replaces the whole sub-tree and a list the whole list. Outer paths come before inner
    ones, so that an inner override holds within a sub-tree that is overridden too.

    Raises:
        ValueError: If a path leads through a value that is no mapping.
    """
    for path in sorted(overrides, key=lambda path: path.count(".")):
        recipe_data = set_path(recipe_data, path, overrides[path])
    return recipe_data
