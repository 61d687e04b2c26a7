"""Points of a search space to check before anything runs: all of them, or a fair sample."""

import random
from collections.abc import Callable, Iterator
from typing import Any

from sweeps.domains import Domain
from sweeps.space import Space

MAX_COMBINATIONS = 5_000


def points_to_check(space: Space) -> list[dict[str, Any]]:
    """Every combination of the discrete keys, with the continuous ones all low, then all high.

    Above `MAX_COMBINATIONS` it is that many drawn at random, the same ones each time, after the
    two points that take everything's first and everything's last value.
    """
    points: list[dict[str, Any]] = []
    for point in _every_point(space):
        points.append(point)
        if len(points) > MAX_COMBINATIONS:
            return _sample(space)
    return points


def _every_point(space: Space) -> Iterator[dict[str, Any]]:
    """Count through the choices like an odometer whose wheels depend on the ones before."""
    ends = (0, -1) if any(not domain.is_discrete for domain in space.domains.values()) else (0,)
    for end in ends:
        wheels: list[list[int]] = []  # position and size of each choice, in the order of asking
        while True:
            yield space.assemble(_odometer(wheels, end))
            while wheels and wheels[-1][0] + 1 == wheels[-1][1]:
                wheels.pop()
            if not wheels:
                break
            wheels[-1][0] += 1


def _odometer(wheels: list[list[int]], end: int) -> Callable[[str, Domain], Any]:
    asked = 0

    def pick(_: str, domain: Domain) -> Any:
        nonlocal asked
        values = domain.values_to_check()
        if not domain.is_discrete:
            return values[end][1]
        if asked == len(wheels):
            wheels.append([0, len(values)])
        asked += 1
        return values[wheels[asked - 1][0]][1]

    return pick


def _sample(space: Space) -> list[dict[str, Any]]:
    rng = random.Random(0)
    points = [
        space.assemble(lambda _, domain, end=end: domain.values_to_check()[end][1])
        for end in (0, -1)
    ]
    for _ in range(MAX_COMBINATIONS):
        points.append(space.assemble(lambda _, domain: rng.choice(domain.values_to_check())[1]))
    return points
