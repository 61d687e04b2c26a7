"""The varied keys of a sweep as axes of numbers: a trial becomes a point or a line."""

import math
from dataclasses import dataclass
from typing import Any

from sweeps.answer.results import TrialRow
from sweeps.figures.found import Found
from sweeps.figures.style import rounded
from sweeps.space.labels import short_names, short_value
from sweeps.space.ranges import Range

_MOST_TICKS = 7


@dataclass(frozen=True)
class Axis:
    """One key of the space.

    Attributes:
        name: Short, for people.
        positions: One per trial, in the order asked for; logarithms on a logarithmic axis. A trial
            whose recipe has no such key stands below all others.
        ticks: Where to write something.
        texts: What to write there.
    """

    name: str
    positions: list[float]
    ticks: list[float]
    texts: list[str]


def varied_axes(found: Found, rows: list[TrialRow]) -> list[Axis]:
    """One axis for each key that differs between these trials, in the order of the sweep file."""
    paths = list(found.sweep.space)
    axes = []
    for path, name in zip(paths, short_names(paths), strict=True):
        values = [row.varied.get(path) for row in rows]
        if len({short_value(value) for value in values}) > 1:
            domain = found.sweep.space.domains.get(path)
            is_log = isinstance(domain, Range) and domain.is_log
            axes.append(_axis(name, values, is_log=is_log))
    return axes


def _axis(name: str, values: list[Any], *, is_log: bool) -> Axis:
    there = [value for value in values if value is not None]
    if all(_is_number(value) for value in there):
        is_log = is_log and min(there) > 0
        return _of_numbers(name, values, there, is_log=is_log)
    texts = sorted({short_value(value) for value in values})
    positions = [float(texts.index(short_value(value))) for value in values]
    return Axis(name, positions, [float(n) for n in range(len(texts))], texts)


def _of_numbers(name: str, values: list[Any], there: list[Any], *, is_log: bool) -> Axis:
    place = math.log10 if is_log else float
    known = sorted({place(value) for value in there})
    low, high = known[0], known[-1]
    nowhere = low - 0.15 * ((high - low) or 1.0)
    positions = [nowhere if value is None else rounded(place(value)) for value in values]
    if len(known) <= _MOST_TICKS:
        ticks = known
    elif is_log:
        ticks = [low, *(float(n) for n in range(math.ceil(low), math.floor(high) + 1)), high]
        ticks = [t for n, t in enumerate(ticks) if n == 0 or t - ticks[n - 1] > 0.12 * (high - low)]
    else:
        ticks = [low + n * (high - low) / 4 for n in range(5)]
    texts = [short_value(10**tick if is_log else float(tick)) for tick in ticks]
    if any(value is None for value in values):
        ticks, texts = [nowhere, *ticks], ["none", *texts]
    return Axis(name, positions, [rounded(tick) for tick in ticks], texts)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
