"""A search space against its recipe, before anything runs: paths, conditions, values, combinations.

The recipe's own model is the judge: a value is wrong if no recipe takes it, and the words are the
recipe's. Nothing here knows a field or a rule of the recipe by name.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from resnet_core.dotted_paths import field_paths
from resnet_core.plain_errors import Explanation, explain, written
from resnet_core.problems import Loc, Problem, did_you_mean
from resnet_core.strict import leaf_types
from resnet_core.yaml_source import YamlSource
from sweeps.space.combinations import MAX_COMBINATIONS, points_to_check
from sweeps.space.domains import Derived, Domain, canonical
from sweeps.space.entry_check import EntryCheck, no_such_field
from sweeps.space.impossible import impossible_combinations, value_loc
from sweeps.space.keys import CircularConditions
from sweeps.space.ranges import Range
from sweeps.space.space import CannotDerive, Space, apply_overrides

__all__ = ["SpaceReport", "check_space", "no_such_field"]

_MAX_CONTEXTS = 12
_MAX_OTHERS = 20
_MAX_WRONG = 20
"""Values of one key that are told to be wrong; each takes time, and nobody reads hundreds."""


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
    check.space = space
    points = points_to_check(space)
    wrong = {path: set(check.wrong_values(path, points)) for path in sound}
    unusable = {
        path
        for path in sound
        if wrong[path] and len(wrong[path]) == len(domains[path].values_to_check())
    }
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


class _SpaceCheck:
    def __init__(self, space: Space, model: type[BaseModel], source: YamlSource) -> None:
        self.problems: list[Problem] = []
        self.recipes: list[BaseModel] = []
        self.space = space
        self._model = model
        self._source = source
        self._annotations = field_paths(model)

    def complaints(self, overrides: dict[str, Any]) -> list[Explanation]:
        """What the recipe says about itself with these overrides; nothing if it is possible."""
        data: dict[str, Any] = {}
        try:
            overrides = self.space.recomputed(overrides)
            if (not_whole := self._not_whole(overrides)) is not None:
                return [not_whole]
            data = apply_overrides(self.space.recipe_data, overrides)
            self.recipes.append(self._model.model_validate(data))
        except ValidationError as error:
            return explain(error, self._model, data)
        except CannotDerive as error:
            return [Explanation(tuple(error.path.split(".")), error.reason, of_key=False)]
        except ValueError as error:
            return [Explanation((), str(error), of_key=False)]
        return []

    def _not_whole(self, overrides: dict[str, Any]) -> Explanation | None:
        for path, value in overrides.items():
            leaves = leaf_types(self._annotations.get(path, Any))
            is_derived = isinstance(self.space.domains.get(path), Derived)
            if is_derived and isinstance(value, float) and int in leaves and float not in leaves:
                message = f"gives {value:g}, {path} is a whole number; use round(...)"
                return Explanation(tuple(path.split(".")), message, of_key=False)
        return None

    def paths_and_conditions(self) -> list[str]:
        """Check what needs no recipe to be built; the keys that stand are returned."""
        unsound: set[str] = set()
        entries = EntryCheck(self.space, self._annotations, self._source)
        for path, domain in self.space.domains.items():
            found = [*entries.problems(path), *self._about_conditions(path, domain)]
            if found:
                unsound.add(path)
                self.problems += found
        for _ in self.space.domains:  # a key that falls takes along those that look at it
            for path in self.space.domains:
                if unsound & self.space.looks_at[path]:
                    unsound.add(path)
        return [path for path in self.space.domains if path not in unsound]

    def wrong_values(self, path: str, points: list[dict[str, Any]]) -> list[str]:
        """Report the values that the recipe refuses at this very path, whatever else varies."""
        contexts: dict[str, list[dict[str, Any]]] = defaultdict(lambda: [{}])
        # In any order, one of the first few points shows that a value goes, if it does.
        for point in random.Random(0).sample(points, len(points)):
            if path in point:
                contexts[canonical(point[path])].append(point)
        wrong: list[str] = []
        inner: list[Any] = []
        inner_message = ""
        domain = self.space.domains[path]
        for loc, value in domain.values_to_check():
            if len(wrong) >= _MAX_WRONG:  # the rest counts as wrong, unseen
                wrong.append(canonical(value))
                continue
            own = self._own_complaints(path, value, contexts[canonical(value)])
            if own:
                wrong.append(canonical(value))
            if own and isinstance(domain, Range) and loc == (domain.kind,):
                inner.append(value)
                inner_message = own[0].message
            else:
                self._report(value_loc(self._source, path, loc), path, own)
        if inner:
            text = f"{', '.join(map(str, inner))} refused ({inner_message}); use choice"
            self.problems.append(self._source.problem(("space", path, domain.kind), text))
        return wrong

    def _own_complaints(
        self, path: str, value: Any, contexts: list[dict[str, Any]]
    ) -> list[Explanation]:
        """What is said of a value in every context; nothing if it goes in one of them."""
        told: list[list[Explanation]] = []
        for context in contexts:
            told.append(self._complaints_at(path, value, context))
            if not told[-1]:
                return []
        # Where another value goes, it is this one that is wrong, and not any with the context.
        domain = self.space.domains.get(path)
        others = [] if domain is None else [other for _, other in domain.values_to_check()]
        others = others[:_MAX_OTHERS]
        for found, context in list(zip(told, contexts, strict=True))[:_MAX_CONTEXTS]:
            if not all(self._complaints_at(path, other, context) for other in others):
                return found
        return told[0]

    def _complaints_at(self, path: str, value: Any, context: dict[str, Any]) -> list[Explanation]:
        parts = tuple(path.split("."))
        found = self.complaints({**context, path: value})
        return [one for one in found if one.loc[: len(parts)] == parts]

    def _report(self, loc: Loc, path: str, complaints: list[Explanation]) -> None:
        depth = path.count(".") + 1
        for one in complaints:
            below = (*loc, *one.loc[depth:])
            self.problems.append(self._source.problem(below, one.message, of_key=one.of_key))

    def _about_conditions(self, path: str, domain: Domain) -> Iterator[Problem]:
        for other, allowed in domain.when.items():
            loc = ("space", path, "when", other)
            if other not in self._annotations:
                message = no_such_field(other, self._annotations)
                yield self._source.problem(loc, message, of_key=True)
                continue
            deciding = self.space.deciding_keys(other)
            if deciding and not self.space.is_discrete(deciding[-1]):
                message = f"{other} varies over a range; a condition needs a choice to look at"
                yield self._source.problem(loc, message, of_key=True)
                continue
            if any(isinstance(self.space.domains[key], Derived) for key in deciding):
                continue  # what it takes, the points will tell
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
        deciding = self.space.deciding_keys(path)
        values = [self.space.value_at(path, {})]
        for key in deciding:
            options = [value for _, value in self.space.domains[key].values_to_check()]
            values += [self.space.value_at(path, {key: option}) for option in options]
            if key == path and not self.space.domains[key].when:
                values = values[1:]
        return list({canonical(value): value for value in values}.values())
