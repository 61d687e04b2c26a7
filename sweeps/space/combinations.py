"""Points of a search space to check before anything runs: all of them, or a fair sample."""

import random
from collections.abc import Callable, Iterator
from typing import Any

from sweeps.space.domains import Derived, Sampled
from sweeps.space.odometer import Choose, every_way
from sweeps.space.space import Space

MAX_COMBINATIONS = 5_000
_NUM_DRAWN = 500


def points_to_check(space: Space) -> list[dict[str, Any]]:
    """Every combination of the discrete keys, with the continuous ones all low, then all high.

    Above `MAX_COMBINATIONS` it is that many drawn at random, the same ones each time, after the
    two points that take everything's first and everything's last value. Where a formula looks at a
    range, `_NUM_DRAWN` points from all over the range are added, since what is right at both ends
    may be wrong between them. A derived key that has no value is there with None.
    """
    points: list[dict[str, Any]] = []
    for point in _every_point(space):
        points.append(point)
        if len(points) > MAX_COMBINATIONS:
            points = _sample(space)
            break
    derived = [path for path, domain in space.domains.items() if isinstance(domain, Derived)]
    if not all(map(space.is_discrete, derived)):
        rng = random.Random(0)
        for _ in range(_NUM_DRAWN):
            points.append(space.assemble(lambda _, domain: domain.draw(rng), leave_gaps=True))
    return points


def _every_point(space: Space) -> Iterator[dict[str, Any]]:
    ends = (0, -1) if any(not one.is_discrete for one in space.sampled.values()) else (0,)
    for end in ends:

        def run(choose: Choose, end: int = end) -> dict[str, Any]:
            def pick(_: str, domain: Sampled) -> Any:
                return _value(domain, choose) if domain.is_discrete else _end(domain, end)

            return space.assemble(pick, leave_gaps=True)

        yield from every_way(run)


def _sample(space: Space) -> list[dict[str, Any]]:
    rng = random.Random(0)

    def at_random(_: str, domain: Sampled) -> Any:
        if domain.is_discrete:
            return _value(domain, rng.randrange)
        return _end(domain, rng.choice((0, -1)))

    picks = [lambda _, domain, end=end: _end(domain, end) for end in (0, -1)]
    picks += [at_random] * MAX_COMBINATIONS
    return [space.assemble(pick, leave_gaps=True) for pick in picks]


def _value(domain: Sampled, choose: Callable[[int], int]) -> Any:
    assert domain.num_values is not None  # it is discrete
    return domain.nth_value(choose(domain.num_values))


def _end(domain: Sampled, end: int) -> Any:
    return domain.values_to_check()[end][1]
