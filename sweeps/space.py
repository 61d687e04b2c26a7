"""The search space: which recipe paths vary, in what order, and what a trial overrides.

A point of the space is a flat mapping of recipe paths to values. A key with `when` is part of it
only where its conditions hold in the trial's own recipe; elsewhere the recipe's value stands. So
no trial ever carries a value that its model does not use.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from resnet_core.dotted_paths import get_path, set_path
from sweeps.domains import Choice, Domain, IntRange, LogUniform, Uniform, canonical

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = [
    "Choice", "CircularConditions", "Domain", "IntRange", "LogUniform", "Space", "Uniform",
    "apply_overrides", "label", "short_names", "short_value",
]  # fmt: skip

_SHORT_NAMES = {
    "lr_schedulers": "schedule",
    "learning_rate": "lr", "width_per_group": "width", "train_batch_size": "batch",
    "weight_decay": "decay", "linear_warmup": "warmup", "cosine_decay": "cosine",
    "step_decay": "step", "max_duration": "length",
}  # fmt: skip
_LONGEST_SUBTREE = 48


class CircularConditions(ValueError):
    """Conditions that depend on each other; ``paths`` cannot be put in an order."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(f"conditions depend on each other: {', '.join(paths)}")
        self.paths = paths


@dataclass(frozen=True)
class Space:
    """Domains by recipe path, in the order of the file.

    Attributes:
        domains: Recipe path -> what it may take.
        recipe_data: Trial 0, complete; conditions on paths that do not vary look here.
    """

    domains: dict[str, Domain]
    recipe_data: dict[str, Any]

    def __iter__(self) -> Iterator[str]:
        return iter(self.domains)

    def __len__(self) -> int:
        return len(self.domains)

    def suggest(self, trial: "BaseTrial") -> dict[str, Any]:
        """Ask an Optuna trial for a point: recipe path -> value, only what is active.

        A sub-tree is known to Optuna by its JSON text; the override carries the sub-tree itself.
        """
        return self.assemble(lambda path, domain: domain.suggest(path, trial))

    def parameters(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """Optuna's parameters for a point, as `Study.enqueue_trial` wants them."""
        return {path: self.domains[path].parameter(value) for path, value in overrides.items()}

    def assemble(self, pick: Callable[[str, Domain], Any]) -> dict[str, Any]:
        """Pick a value for every active key, conditions before what hangs on them.

        Args:
            pick: Gets a path and its domain.

        Returns:
            Recipe path -> value, in the order of the file.
        """
        picked: dict[str, Any] = {}
        for path in self.order:
            if self.is_active(path, picked):
                picked[path] = pick(path, self.domains[path])
        return {path: picked[path] for path in self.domains if path in picked}

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

    def deciding_keys(self, path: str) -> list[str]:
        """The keys of the space that set a path, whole sub-trees around it first."""
        keys = [key for key in self.domains if f"{path}.".startswith(f"{key}.")]
        return sorted(keys, key=len)

    @cached_property
    def order(self) -> list[str]:
        """The paths, each after what its conditions look at, else in the order of the file.

        Raises:
            CircularConditions: If conditions depend on each other in a circle.
        """
        needs = {
            path: {key for other in domain.when for key in self.deciding_keys(other)}
            for path, domain in self.domains.items()
        }
        order: list[str] = []
        while len(order) < len(needs):
            ready = next((p for p in needs if p not in order and needs[p] <= set(order)), None)
            if ready is None:
                raise CircularConditions([path for path in needs if path not in order])
            order.append(ready)
        return order


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


def label(overrides: dict[str, Any]) -> str:
    """Short text that names a trial: ``lr=0.8 width=16``; floats to 3 significant digits."""
    return " ".join(
        f"{name}={short_value(value)}"
        for name, value in zip(short_names(list(overrides)), overrides.values(), strict=True)
    )


def short_names(paths: list[str]) -> list[str]:
    """The last part of each path, with as many parts before it as it takes to tell them apart."""
    parts = {path: _short_parts(path) for path in paths}
    names: list[str] = []
    for path in paths:
        name = path
        for count in range(1, len(parts[path]) + 1):
            name = ".".join(parts[path][-count:])
            if sum(".".join(other[-count:]) == name for other in parts.values()) == 1:
                break
        names.append(name)
    return names


def _short_parts(path: str) -> list[str]:
    if path == "model.name":
        return ["model"]
    return [_SHORT_NAMES.get(part, part) for part in path.split(".")]


def short_value(value: Any) -> str:
    """A value of a recipe as a few characters; floats to 3 significant digits."""
    if isinstance(value, bool) or value is None:
        return canonical(value)
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ",".join(short_value(item) for item in value)
    if isinstance(value, dict):
        text = _short_subtree(value)
        return text if len(text) <= _LONGEST_SUBTREE else f"{text[:_LONGEST_SUBTREE]}~"
    return str(value)


def _short_subtree(tree: dict[str, Any]) -> str:
    parts = []
    for key, value in tree.items():
        if isinstance(value, dict):
            inner = ",".join(short_value(item) for item in value.values() if item is not None)
            parts.append(f"{_SHORT_NAMES.get(key, key)}{inner}")
        elif value is not None:
            parts.append(f"{_SHORT_NAMES.get(key, key)}{short_value(value)}")
    return "+".join(parts)
