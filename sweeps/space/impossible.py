"""Combinations of a search space that no recipe accepts, each told once and with the way out."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from resnet_core.plain_errors import Explanation, written
from resnet_core.problems import Loc, Problem, format_path
from resnet_core.yaml_source import YamlSource
from sweeps.space.domains import Derived, Fixed, canonical
from sweeps.space.space import Space

Point = dict[str, Any]
_MAX_VALUES_TOLD = 6


_Told = tuple[str, Loc, str]
"""The key that is blamed, the place that complains, and of a formula the kind of complaint."""


@dataclass
class _Conflict:
    """One key that goes wrong in one way."""

    complaint: Explanation
    example: Point  # the smallest that goes wrong
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
        complaints: Of the recipe with a point's overrides, derived keys computed again; empty if it
            is possible.
        source: The sweep file, for positions.
    """
    conflicts: dict[_Told, _Conflict] = {}
    culprits: dict[frozenset[tuple[str, str]], _Told] = {}
    possible: list[Point] = []
    for point in points:
        found = complaints(point)
        if not found:
            possible.append(point)
            continue
        items = {(path, canonical(value)) for path, value in point.items()}
        told = next((t for c, t in culprits.items() if c <= items and t[1] == found[0].loc), None)
        if told is None:
            needed = _smallest_failing(space, point, found, complaints)
            blamed = _blamed(space, needed, found[0].loc)
            is_formula = isinstance(space.domains[blamed], Derived)
            told = (blamed, found[0].loc, _without_numbers(found[0]) if is_formula else "")
            culprits[frozenset((path, canonical(value)) for path, value in needed.items())] = told
            conflict = conflicts.setdefault(told, _Conflict(complaints(needed)[0], needed))
            conflict.partners += [path for path in needed if path != blamed]
        value = point[told[0]]
        conflicts[told].values[canonical(value)] = value
        conflicts[told].points.append(point)
    return [
        problem
        for (path, _, _), conflict in conflicts.items()
        for problem in (
            [_about_formula(space, path, conflict, possible, source)]
            if isinstance(space.domains[path], Derived)
            else _report(space, path, conflict, possible, source)
        )
    ]


def _blamed(space: Space, needed: Point, loc: Loc) -> str:
    """The key whose value the recipe complains about, else the last in order that takes part."""
    about = [path for path in needed if loc[: path.count(".") + 1] == tuple(path.split("."))]
    last = [path for path in space.order if path in needed]
    return max(about, key=len) if about else last[-1]


def value_loc(source: YamlSource, path: str, below: Loc) -> Loc:
    """Where a value of a key stands: below it, or right there if it is written ``key: 5``."""
    entry = source.data["space"][path]
    return ("space", path, *below) if isinstance(entry, dict) else ("space", path)


def _smallest_failing(
    space: Space,
    point: Point,
    found: list[Explanation],
    complaints: Callable[[Point], list[Explanation]],
) -> Point:
    """Put keys back to the recipe's value as long as the recipe says the same.

    A derived key that stays keeps what it looks at: with the recipe's values it is another number.
    Fixed keys come last, since the others were written with them in mind.
    """

    def rank(path: str) -> int:
        domain = space.domains[path]
        return 0 if isinstance(domain, Derived) else 2 if isinstance(domain, Fixed) else 1

    for path in sorted(point, key=rank):
        if any(
            isinstance(space.domains[other], Derived) and path in space.needs(other)
            for other in point
        ):
            continue
        smaller = {key: value for key, value in point.items() if key != path}
        remaining = complaints(smaller)
        if remaining and remaining[0] == found[0]:
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
                value_loc(source, path, places.get(text, ())),
                f"no trial of this recipe can have it ({said})",
            )
            for text in conflict.values
        ]
    values = _listed(list(conflict.values.values()))
    for other, bad, way_out in _ways_out(space, path, conflict, fitting):
        text = f"{values} cannot go with {other} = {bad} ({said}); {way_out}"
        return [source.problem(("space", path), text, of_key=True)]
    others = " and ".join(dict.fromkeys(conflict.partners)) or "the recipe"
    text = f"{values} cannot go with every value of {others} ({said}); narrow one of them"
    return [source.problem(("space", path), text, of_key=True)]


def _about_formula(
    space: Space, path: str, conflict: _Conflict, possible: list[Point], source: YamlSource
) -> Problem:
    """Say what a derived key comes to, and with which values of the keys that it looks at."""
    loc, message, _ = conflict.complaint
    said = message if format_path(loc) in ("", path) else f"{format_path(loc)}: {message}"
    where = [
        f"{other} = {written(value)}"
        for other, value in conflict.example.items()
        if other in space.sampled
    ]
    text = f"{said}{', with ' if where else ''}{' and '.join(where)}"
    fitting = [point for point in possible if path in point]
    way_out = next((way for _, _, way in _ways_out(space, path, conflict, fitting)), None)
    return source.problem(("space", path, "derive"), f"{text}; {way_out}" if way_out else text)


def _ways_out(
    space: Space, path: str, conflict: _Conflict, fitting: list[Point]
) -> Iterator[tuple[str, str, str]]:
    """Another key, its values that go wrong, and the condition on it that keeps them apart."""
    told: dict[str, None] = dict.fromkeys([*conflict.partners, *space.domains])
    for other in told:  # those first that take part
        if other == path or not space.is_discrete(other) or path in space.needs(other):
            continue
        bad = _values_of(space, other, conflict.points)
        good = _values_of(space, other, fitting)
        for text in bad:
            good.pop(text, None)
        if good and not any(isinstance(value, dict | list) for value in good.values()):
            condition = f"{{{other}: [{', '.join(map(_in_yaml, good.values()))}]}}"
            yield other, _listed(list(bad.values())), f"add when: {condition}"


def _without_numbers(complaint: Explanation) -> str:
    return re.sub(r"[0-9.]+", "", complaint.message)


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
