"""Reading a sweep file: the one way in. Needs neither torch nor Ray.

What `load_sweep` returns has passed every check, the impossible combinations of the space included.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from resnet_core.credentials import without_credentials
from resnet_core.dotted_paths import field_paths
from resnet_core.problems import InvalidFile, Loc, Problem, did_you_mean
from resnet_core.recipe import Recipe
from resnet_core.strict import leaf_types
from resnet_core.yaml_source import YamlSource, read_yaml, validate
from sweeps.population.checks import population_problems
from sweeps.population.config import PopulationConfig
from sweeps.space.check import check_space, no_such_field
from sweeps.space.domains import Domain, Fixed, Listed, read_domain
from sweeps.space.grid import grid_problems
from sweeps.space.space import Space
from sweeps.spec import MAX_KEYS, Sweep, SweepSpec
from sweeps.sweep_checks import default_stops, limits, untrainable, useless_stopping

Model = TypeVar("Model", bound=BaseModel)


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
    problems += untrainable(
        recipe, spec and spec.resources, domains.get("train_batch_size"), source
    )
    recipe_data = _complete_data(recipe)
    report = check_space(domains, recipe_data, Recipe, source)
    problems += report.problems
    if spec is None:
        raise InvalidFile(problems)
    recipes = [found for found in report.recipes if isinstance(found, Recipe)]
    if "early_stopping" not in source.data and not default_stops(spec, recipe, recipes):
        spec = spec.model_copy(update={"early_stopping": None})
    space = Space(domains, recipe_data)
    problems += useless_stopping(spec.early_stopping, recipe, recipes, source)
    problems += limits(spec, source)
    if spec.early_stopping is not None and isinstance(spec.early_stopping.rule, PopulationConfig):
        problems += population_problems(domains, spec.early_stopping.rule, recipe, source)
    if not problems:  # a space with faults has no grid
        problems += grid_problems(space, spec.search.algorithm, spec.given_trials, source)
    if problems:
        raise InvalidFile(problems)
    recipe = Recipe.model_validate(recipe_data)
    return Sweep(path, source.text, spec, recipe, recipe_data, space)


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
        problems.append(_why_no_recipe(source, recipe_source))
        return None
    return _attempt(Recipe, recipe_source, (), problems)


def _why_no_recipe(source: YamlSource, found: YamlSource) -> Problem:
    """Say what a file that is no recipe is: part of a circle, a sweep file, or an heir."""
    chain, data = [source.path], source.data
    while isinstance(extends := data.get("extends"), str):
        chain.append(Path(os.path.normpath(chain[-1].parent / extends)))
        if any(os.path.realpath(chain[-1]) == os.path.realpath(one) for one in chain[:-1]):
            circle = " -> ".join(map(str, chain))
            return source.problem(("extends",), f"goes in a circle: {circle}; name a recipe file")
        try:
            data = read_yaml(chain[-1]).data
        except InvalidFile:
            break
    if "space" in found.data or "extends" not in found.data:
        return source.problem(("extends",), f"{found.path} is a sweep file, not a recipe")
    message = "a recipe extends no other; write its keys out"
    return found.problem(("extends",), message, of_key=True)


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
    for path, entry in space.items() if isinstance(space, dict) and len(space) <= MAX_KEYS else ():
        try:
            domain = read_domain(entry)
        except ValueError:
            continue
        when = {
            other: tuple(_as_number(one, annotations.get(other)) for one in allowed)
            for other, allowed in domain.when.items()
        }
        read: dict[str, Any] = {"when": when}
        if isinstance(domain, Listed):
            values = [_as_number(value, annotations.get(path)) for value in domain.values]
            read[domain.kind] = tuple(values)
        elif isinstance(domain, Fixed):
            read["value"] = _as_number(domain.value, annotations.get(path))
        domains[path] = domain.model_copy(update=read)
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
