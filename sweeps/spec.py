"""The sweep file and the recipe it extends: typed, checked as a whole, ready to be run.

`load_sweep` is the one way in: what it returns has passed every check, the impossible combinations
of the space included. It needs neither torch nor Ray.
"""

import difflib
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, field_validator, model_validator

from resnet_core.core_yaml import write_document
from resnet_core.dotted_paths import field_paths
from resnet_core.problems import InvalidFile, Loc, Problem, did_you_mean, without_credentials
from resnet_core.recipe import Recipe
from resnet_core.strict import StrictModel, leaf_types
from resnet_core.yaml_source import YamlSource, read_yaml, validate
from sweeps.domains import Choice, Domain, canonical, read_domain
from sweeps.sections import (
    AshaConfig,
    EarlyStoppingConfig,
    ObjectiveConfig,
    ResourcesConfig,
    SearchConfig,
    StorageConfig,
    TrackingConfig,
)
from sweeps.space import Space, apply_overrides
from sweeps.space_check import check_space, no_such_field
from sweeps.sweep_checks import untrainable, useless_rungs

__all__ = [
    "AshaConfig", "EarlyStoppingConfig", "ObjectiveConfig", "ResourcesConfig", "SearchConfig",
    "StorageConfig", "Sweep", "SweepSpec", "TrackingConfig", "load_sweep",
]  # fmt: skip

Model = TypeVar("Model", bound=BaseModel)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SweepSpec(StrictModel):
    """A sweep file. The recipe is named by ``extends`` or stands inside as ``recipe``."""

    version: Literal[1]
    name: str
    extends: str | None = Field(
        default=None, min_length=1, description="The recipe file, relative to the sweep file."
    )
    recipe: dict[str, Any] | None = Field(default=None, description="The recipe itself.")
    objective: ObjectiveConfig = ObjectiveConfig()
    space: dict[str, Domain] = Field(min_length=1)
    search: SearchConfig
    early_stopping: EarlyStoppingConfig | None = None
    resources: ResourcesConfig = ResourcesConfig()
    tracking: TrackingConfig = TrackingConfig()
    storage: StorageConfig = StorageConfig()

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name[:70]!r} names no folder; use 1 to 64 letters, digits, '.', '_' or '-', "
                "a letter or digit first"
            )
        return name

    @model_validator(mode="after")
    def _check_one_recipe(self) -> Self:
        if (self.extends is None) == (self.recipe is None):
            raise ValueError(
                "name one recipe: extends: FILE, or the recipe itself as recipe: {...}"
            )
        return self

    @property
    def experiment_name(self) -> str:
        """The MLflow experiment: as given, else the sweep's name."""
        return self.tracking.experiment or self.name


@dataclass(frozen=True)
class Sweep:
    """A sweep that can be run.

    Attributes:
        path: The sweep file.
        text: The file as written.
        spec: The file as typed models, every ``--set`` applied.
        recipe: Trial 0.
        recipe_data: Trial 0 as plain data, complete; overrides apply to it.
        space: What varies around it.
    """

    path: Path
    text: str
    spec: SweepSpec
    recipe: Recipe
    recipe_data: dict[str, Any]
    space: Space

    def recipe_for(self, overrides: dict[str, Any]) -> Recipe:
        """The recipe of a trial: flat overrides (recipe path -> value) on trial 0.

        Raises:
            ValueError: If the overrides make no possible recipe, which points of `space` never do.
        """
        return Recipe.model_validate(apply_overrides(self.recipe_data, overrides))

    def resolved(self) -> dict[str, Any]:
        """Everything as plain data: a sweep file that needs no other file, defaults written out."""
        data = self.spec.model_dump(mode="json", exclude={"extends", "recipe", "space"})
        space = {
            path: domain.model_dump(mode="json", exclude_defaults=True)
            for path, domain in self.space.domains.items()
        }
        names = {name: data.pop(name) for name in ("version", "name")}
        return {**names, "recipe": self.recipe_data, "space": space, **data}

    def resolved_yaml(self) -> str:
        """`resolved` as a file that `load_sweep` reads back as the same sweep."""
        return write_document(self.resolved())

    def changes_from(self, resolved_yaml: str) -> str:
        """What differs from another sweep's `resolved_yaml`, as a diff; "" if nothing does."""
        lines = difflib.unified_diff(
            resolved_yaml.splitlines(), self.resolved_yaml().splitlines(), "there", "now", n=0,
            lineterm="",
        )  # fmt: skip
        return "\n".join(lines)

    def digest(self) -> str:
        """sha256, in hex, of `resolved`: equal sweeps have equal digests however written."""
        return hashlib.sha256(canonical(self.resolved()).encode()).hexdigest()


def load_sweep(path: str | Path, sets: Iterable[str] = ()) -> Sweep:
    """Read a sweep file and its recipe, and check everything that can be checked without training.

    Args:
        path: The sweep file.
        sets: ``a.b=v`` each. The sweep file's own top-level names address the sweep, the recipe's
            (``optimizer``, ``seed``) the recipe: trial 0 and all others.

    Raises:
        InvalidFile: With every problem of both files, of the space and of the ``sets``.
    """
    path = Path(path)
    sweep_sets, recipe_sets, problems = _split(sets)
    source = _read(path, sweep_sets, problems)
    if isinstance(source.data.get("recipe"), dict):
        source = _read(path, [*sweep_sets, *(f"recipe.{one}" for one in recipe_sets)], problems)
    spec = _attempt(SweepSpec, source, (), problems)
    recipe = _read_recipe(source, recipe_sets, problems)
    domains = _readable_domains(source.data.get("space"))
    if recipe is None:
        known = field_paths(Recipe)
        problems += [
            source.problem(("space", path), no_such_field(path, known), of_key=True)
            for path in domains
            if path not in known
        ]
        raise InvalidFile(problems)
    problems += untrainable(recipe, spec and spec.resources, source)
    recipe_data = _complete_data(recipe)
    report = check_space(domains, recipe_data, Recipe, source)
    problems += report.problems
    if spec is None:
        raise InvalidFile(problems)
    recipes = [found for found in report.recipes if isinstance(found, Recipe)]
    problems += useless_rungs(spec.early_stopping, [*recipes, recipe], source)
    if problems:
        raise InvalidFile(problems)
    recipe = Recipe.model_validate(recipe_data)
    return Sweep(path, source.text, spec, recipe, recipe_data, Space(domains, recipe_data))


def _split(sets: Iterable[str]) -> tuple[list[str], list[str], list[Problem]]:
    sweep_sets: list[str] = []
    recipe_sets: list[str] = []
    problems: list[Problem] = []
    for one in sets:
        top = re.split(r"[.=]", one, maxsplit=1)[0].strip()
        if top in SweepSpec.model_fields:
            sweep_sets.append(one)
        elif top in Recipe.model_fields:
            recipe_sets.append(one)
        else:
            paths = [*SweepSpec.model_fields, *field_paths(Recipe)]
            hint = did_you_mean(one.partition("=")[0], paths) or did_you_mean(top, paths)
            message = f"neither the sweep file nor the recipe has a key {top!r}{hint}"
            problems.append(Problem(f"--set {without_credentials(one)}", 0, 0, "", message))
    return sweep_sets, recipe_sets, problems


def _read(path: Path, sets: list[str], problems: list[Problem]) -> YamlSource:
    try:
        return read_yaml(path, sets, dotted_keys=("space",))
    except InvalidFile as error:
        raise InvalidFile([*problems, *error.problems]) from None


def _attempt(
    model: type[Model], source: YamlSource, at: Loc, problems: list[Problem]
) -> Model | None:
    try:
        return validate(model, source, at=at)
    except InvalidFile as error:
        problems += error.problems
        return None


def _read_recipe(source: YamlSource, sets: list[str], problems: list[Problem]) -> Recipe | None:
    if isinstance(source.data.get("recipe"), dict):
        return _attempt(Recipe, source, ("recipe",), problems)
    extends = source.data.get("extends")
    if not isinstance(extends, str):
        return None
    path = Path(os.path.normpath(source.path.parent / extends))
    try:
        recipe_source = read_yaml(path, sets)
    except InvalidFile as error:
        for one in error.problems:
            missing = one.file == str(path) and not one.line
            told = source.problem(("extends",), f"{path}: {one.message}") if missing else one
            problems.append(told)
        return None
    if "extends" in recipe_source.data or "space" in recipe_source.data:
        problems.append(source.problem(("extends",), f"{path} is a sweep file, not a recipe"))
        return None
    return _attempt(Recipe, recipe_source, (), problems)


def _complete_data(recipe: Recipe) -> dict[str, Any]:
    """Trial 0 with every default written out.

    So is the batch size that the learning rate belongs to: trial 0's, for every trial. Left open,
    it would be each trial's own, and `lr_scaling` would do nothing.
    """
    data = recipe.model_dump(mode="json")
    if data["lr_reference_batch_size"] is None:
        data["lr_reference_batch_size"] = recipe.train_batch_size
    return data


def _readable_domains(space: Any) -> dict[str, Domain]:
    """The entries of the space that are sound in themselves; the model tells of the others."""
    annotations = field_paths(Recipe)
    domains: dict[str, Domain] = {}
    for path, entry in space.items() if isinstance(space, dict) else ():
        try:
            domain = read_domain(entry)
        except ValueError:
            continue
        when = {
            other: tuple(_as_number(one, annotations.get(other)) for one in allowed)
            for other, allowed in domain.when.items()
        }
        domain = domain.model_copy(update={"when": when})
        if isinstance(domain, Choice):
            values = tuple(_as_number(value, annotations.get(path)) for value in domain.choice)
            domain = domain.model_copy(update={"choice": values})
        domains[path] = domain
    return domains


def _as_number(value: Any, annotation: Any) -> Any:
    """Text such as "5e-4" as the number it is to a field that takes numbers and no text."""
    leaves = leaf_types(annotation)
    if not isinstance(value, str) or str in leaves or not leaves & {int, float}:
        return value
    for number in (int, float):
        try:
            return number(value)
        except ValueError:
            continue
    return value
