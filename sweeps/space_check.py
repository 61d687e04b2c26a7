"""A search space against its recipe, before anything runs: paths, conditions, values, combinations.

The recipe's own model is the judge: a value is wrong if no recipe takes it, and the words are the
recipe's. Nothing here knows a field or a rule of the recipe by name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from resnet_core.dotted_paths import field_paths, get_path
from resnet_core.plain_errors import Explanation, explain, written
from resnet_core.problems import Loc, Problem, did_you_mean
from resnet_core.strict import leaf_types
from resnet_core.yaml_source import YamlSource
from sweeps.combinations import MAX_COMBINATIONS, points_to_check
from sweeps.domains import Domain, IntRange, canonical
from sweeps.impossible import impossible_combinations
from sweeps.space import Choice, CircularConditions, Space, apply_overrides

_MAX_CONTEXTS = 12


@dataclass(frozen=True)
class SpaceReport:
    """What the check found.

    Attributes:
        problems: Empty if every trial of the space has a possible recipe.
        recipes: A model of each point that was tried and is possible.
    """

    problems: list[Problem]
    recipes: list[BaseModel]


def check_space(
    domains: dict[str, Domain],
    recipe_data: dict[str, Any],
    model: type[BaseModel],
    source: YamlSource,
) -> SpaceReport:
    """Find everything in a search space that cannot work.

    Args:
        domains: Recipe path -> what it may take.
        recipe_data: Trial 0, complete and valid.
        model: The recipe's model.
        source: The sweep file, for positions; its ``space`` holds the domains.
    """
    check = _SpaceCheck(Space(domains, recipe_data), model, source)
    sound = check.paths_and_conditions()
    space = Space({path: domains[path] for path in sound}, recipe_data)
    try:
        _ = space.order
    except CircularConditions as error:
        loc = ("space", error.paths[0])
        check.problems.append(source.problem(loc, str(error), of_key=True))
        sound = [path for path in sound if path not in error.paths]
        space = Space({path: domains[path] for path in sound}, recipe_data)
    points = points_to_check(space)
    wrong = {path: set(check.wrong_values(path, points)) for path in sound}
    unusable = {path for path in sound if len(wrong[path]) == len(domains[path].values_to_check())}
    usable = [
        {path: value for path, value in point.items() if path not in unusable}
        for point in points
        if all(p in unusable or canonical(v) not in wrong[p] for p, v in point.items())
    ]
    check.problems += impossible_combinations(space, usable, check.complaints, source)
    if len(points) <= MAX_COMBINATIONS:
        check.problems += [
            source.problem(("space", path), "its conditions never hold together", of_key=True)
            for path in sound
            if not any(path in point for point in points)
        ]
    return SpaceReport(check.problems, check.recipes)


def no_such_field(path: str, known: Iterable[str]) -> str:
    """Say that a path names no field of the recipe, and which one was meant perhaps."""
    known = list(known)
    same_end = [other for other in known if other.split(".")[-1] == path]
    hint = f"; did you mean {' or '.join(same_end)}?" if same_end else did_you_mean(path, known)
    return f"the recipe has no such field{hint}"


class _SpaceCheck:
    def __init__(self, space: Space, model: type[BaseModel], source: YamlSource) -> None:
        self.problems: list[Problem] = []
        self.recipes: list[BaseModel] = []
        self._space = space
        self._model = model
        self._source = source
        self._annotations = field_paths(model)

    def complaints(self, overrides: dict[str, Any]) -> list[Explanation]:
        """What the recipe says about itself with these overrides; nothing if it is possible."""
        data: dict[str, Any] = {}
        try:
            data = apply_overrides(self._space.recipe_data, overrides)
            self.recipes.append(self._model.model_validate(data))
        except ValidationError as error:
            return explain(error, self._model, data)
        except ValueError as error:
            return [Explanation((), str(error), of_key=False)]
        return []

    def paths_and_conditions(self) -> list[str]:
        """Check what needs no recipe to be built; the keys that stand are returned."""
        unsound: set[str] = set()
        for path, domain in self._space.domains.items():
            found = [*self._about_path(path), *self._about_kind(path, domain)]
            found += self._about_conditions(path, domain)
            if found:
                unsound.add(path)
                self.problems += found
        for _ in self._space.domains:  # a condition on a key that falls takes its own key along
            for path, domain in self._space.domains.items():
                deciding = [
                    key for other in domain.when for key in self._space.deciding_keys(other)
                ]
                if unsound & set(deciding):
                    unsound.add(path)
        return [path for path in self._space.domains if path not in unsound]

    def wrong_values(self, path: str, points: list[dict[str, Any]]) -> list[str]:
        """Report the values that the recipe refuses at this very path, whatever else varies."""
        active = [point for point in points if path in point]
        contexts = [{}, *active[:: max(1, len(active) // _MAX_CONTEXTS)]]
        wrong: list[str] = []
        inner: list[Any] = []
        inner_message = ""
        domain = self._space.domains[path]
        for loc, value in domain.values_to_check():
            own = self._own_complaints(path, value, contexts)
            if own:
                wrong.append(canonical(value))
            if own and isinstance(domain, IntRange) and loc == ("int",):
                inner.append(value)
                inner_message = own[0].message
            else:
                self._report(("space", path, *loc), path, own)
        if inner:
            text = f"{', '.join(map(str, inner))} refused ({inner_message}); use choice"
            self.problems.append(self._source.problem(("space", path, "int"), text))
        return wrong

    def _own_complaints(
        self, path: str, value: Any, contexts: list[dict[str, Any]]
    ) -> list[Explanation]:
        parts = tuple(path.split("."))
        first: list[Explanation] = []
        for context in contexts:
            found = self.complaints({**context, path: value})
            own = [one for one in found if one.loc[: len(parts)] == parts]
            if not own:
                return []
            first = first or own
        return first

    def _report(self, loc: Loc, path: str, complaints: list[Explanation]) -> None:
        depth = path.count(".") + 1
        for one in complaints:
            below = (*loc, *one.loc[depth:])
            self.problems.append(self._source.problem(below, one.message, of_key=one.of_key))

    def _about_path(self, path: str) -> Iterator[Problem]:
        loc = ("space", path)
        if path not in self._annotations:
            yield self._source.problem(loc, no_such_field(path, self._annotations), of_key=True)
            return
        parts = path.split(".")
        for depth in range(1, len(parts)):
            section, outer = ".".join(parts[:depth]), ".".join(parts[: depth - 1])
            if self._space.deciding_keys(section) or isinstance(self._at(section), dict):
                continue
            chosen = self._at(outer) if outer else None
            there = [key for key, value in (chosen or {}).items() if isinstance(value, dict)]
            hint = f"its {outer} is {', '.join(there)}: " if there else ""
            instead = f"vary {outer}.{there[0]}, or " if there else ""
            yield self._source.problem(
                loc,
                f"this recipe has no {section}; {hint}{instead}make {outer or section} a choice "
                "of whole sub-trees",
                of_key=True,
            )
            return

    def _about_kind(self, path: str, domain: Domain) -> Iterator[Problem]:
        leaves = leaf_types(self._annotations[path]) if path in self._annotations else {Any}
        if isinstance(domain, Choice) or Any in leaves:
            return
        kind = next(iter(domain.model_fields_set - {"when"}))
        if not leaves & {int, float}:
            message = f"{path} is not a number; list its values: {{choice: [...]}}"
            yield self._source.problem(("space", path, kind), message, of_key=True)
        elif float not in leaves and not isinstance(domain, IntRange):
            message = f"{path} is a whole number; use {{int: [low, high]}} or {{choice: [...]}}"
            yield self._source.problem(("space", path, kind), message, of_key=True)

    def _about_conditions(self, path: str, domain: Domain) -> Iterator[Problem]:
        for other, allowed in domain.when.items():
            loc = ("space", path, "when", other)
            if other not in self._annotations:
                message = no_such_field(other, self._annotations)
                yield self._source.problem(loc, message, of_key=True)
                continue
            deciding = self._space.deciding_keys(other)
            decider = self._space.domains[deciding[-1]] if deciding else None
            if decider is not None and not decider.is_discrete:
                message = f"{other} varies over a range; a condition needs a choice to look at"
                yield self._source.problem(loc, message, of_key=True)
                continue
            taken = self._values_at(other)
            if not {canonical(one) for one in allowed} & {canonical(one) for one in taken}:
                values = ", ".join(written(value) for value in taken)
                where = f"takes {values}" if deciding else f"is {values} in every trial"
                texts = [value for value in taken if isinstance(value, str)]
                hint = did_you_mean(str(allowed[0]), texts)
                yield self._source.problem(loc, f"never true: {other} {where}{hint}")
                continue
            for index, value in enumerate(allowed):
                if canonical(value) not in {canonical(one) for one in taken}:
                    own = self._own_complaints(other, value, [{}])
                    for one in own:
                        yield self._source.problem((*loc, index), one.message)

    def _values_at(self, path: str) -> list[Any]:
        """Everything that a path holds in some trial."""
        deciding = self._space.deciding_keys(path)
        values = [self._space.value_at(path, {})]
        for key in deciding:
            options = [value for _, value in self._space.domains[key].values_to_check()]
            values += [self._space.value_at(path, {key: option}) for option in options]
            if key == path and not self._space.domains[key].when:
                values = values[1:]
        return list({canonical(value): value for value in values}.values())

    def _at(self, path: str) -> Any:
        try:
            return get_path(self._space.recipe_data, path)
        except KeyError:
            return None
