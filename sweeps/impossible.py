"""Combinations of a search space that no recipe accepts, each told once and with the way out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from resnet_core.plain_errors import Explanation, written
from resnet_core.problems import Loc, Problem, format_path
from resnet_core.yaml_source import YamlSource
from sweeps.domains import canonical
from sweeps.space import Space

Point = dict[str, Any]
_MAX_VALUES_TOLD = 6


@dataclass
class _Conflict:
    """One key that goes wrong in one way."""

    complaint: Explanation
    partners: list[str] = field(default_factory=list)  # other keys that it takes to go wrong
    values: dict[str, Any] = field(default_factory=dict)  # the key's values that do, by JSON text
    points: list[Point] = field(default_factory=list)


def impossible_combinations(
    space: Space,
    points: list[Point],
    complaints: Callable[[Point], list[Explanation]],
    source: YamlSource,
) -> list[Problem]:
    """Report what fails only in combination, at the key that should vary less.

    Args:
        space: The space.
        points: What to try.
        complaints: Of the recipe with a point's overrides; empty if it is possible.
        source: The sweep file, for positions.
    """
    conflicts: dict[tuple[str, Loc], _Conflict] = {}
    culprits: dict[frozenset[tuple[str, str]], tuple[str, Loc]] = {}
    possible: list[Point] = []
    for point in points:
        found = complaints(point)
        if not found:
            possible.append(point)
            continue
        items = {(path, canonical(value)) for path, value in point.items()}
        told = next((t for c, t in culprits.items() if c <= items and t[1] == found[0].loc), None)
        if told is None:
            needed = _smallest_failing(point, found, complaints)
            blamed = next(path for path in reversed(space.order) if path in needed)
            told = (blamed, found[0].loc)
            culprits[frozenset((path, canonical(value)) for path, value in needed.items())] = told
            conflict = conflicts.setdefault(told, _Conflict(complaints(needed)[0]))
            conflict.partners += [path for path in needed if path != blamed]
        value = point[told[0]]
        conflicts[told].values[canonical(value)] = value
        conflicts[told].points.append(point)
    return [
        problem
        for (path, _), conflict in conflicts.items()
        for problem in _report(space, path, conflict, possible, source)
    ]


def _smallest_failing(
    point: Point, found: list[Explanation], complaints: Callable[[Point], list[Explanation]]
) -> Point:
    """Put keys back to the recipe's value as long as the same part of the recipe complains."""
    for path in list(point):
        smaller = {key: value for key, value in point.items() if key != path}
        remaining = complaints(smaller)
        if remaining and remaining[0].loc == found[0].loc:
            point = smaller
    return point


def _report(
    space: Space, path: str, conflict: _Conflict, possible: list[Point], source: YamlSource
) -> list[Problem]:
    loc, message, _ = conflict.complaint
    said = f"{format_path(loc)}: {message}" if loc else message
    fitting = [p for p in possible if path in p and canonical(p[path]) in conflict.values]
    if not fitting:
        places = {canonical(v): place for place, v in space.domains[path].values_to_check()}
        return [
            source.problem(
                ("space", path, *places[text]), f"no trial of this recipe can have it ({said})"
            )
            for text in conflict.values
        ]
    values = _listed(list(conflict.values.values()))
    for other in _candidates(space, path, conflict):
        bad = _values_of(space, other, conflict.points)
        good = _values_of(space, other, fitting)
        for text in bad:
            good.pop(text, None)
        if good and not any(isinstance(value, dict | list) for value in good.values()):
            text = (
                f"{values} cannot go with {other} = {_listed(list(bad.values()))} ({said}); "
                f"add when: {{{other}: [{', '.join(map(_in_yaml, good.values()))}]}}"
            )
            return [source.problem(("space", path), text, of_key=True)]
    others = " and ".join(dict.fromkeys(conflict.partners)) or "the recipe"
    text = f"{values} cannot go with every value of {others} ({said}); narrow one of them"
    return [source.problem(("space", path), text, of_key=True)]


def _candidates(space: Space, path: str, conflict: _Conflict) -> list[str]:
    """Keys that a condition could look at, those that take part in the conflict first."""
    told: dict[str, None] = dict.fromkeys([*conflict.partners, *space.domains])
    return [
        other
        for other in told
        if other != path and space.domains[other].is_discrete and path not in _needs(space, other)
    ]


def _needs(space: Space, path: str) -> set[str]:
    """Every key that decides, over any number of conditions, whether a key is active."""
    needed: set[str] = set()
    waiting = [path]
    while waiting:
        for other in space.domains[waiting.pop()].when:
            for key in space.deciding_keys(other):
                if key not in needed:
                    needed.add(key)
                    waiting.append(key)
    return needed


def _values_of(space: Space, path: str, points: list[Point]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for point in points:
        value = space.value_at(path, point)
        values[canonical(value)] = value
    return values


def _listed(values: list[Any]) -> str:
    text = ", ".join(written(value) for value in values[:_MAX_VALUES_TOLD])
    more = len(values) - _MAX_VALUES_TOLD
    return f"{text} and {more} more" if more > 0 else text


def _in_yaml(value: Any) -> str:
    return value if isinstance(value, str) else written(value)
