"""Every way that a function with choices in it can go, like an odometer with dependent wheels."""

from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
Choose = Callable[[int], int]
"""Gets how many ways there are, at least 1, and tells which to go, from 0."""


def every_way(run: Callable[[Choose], T]) -> Iterator[T]:
    """Run a function again and again until each of its choices has gone every way.

    Args:
        run: Asks the function it is given at each choice. Which choices come, and how many ways
            each has, may depend on the ones before.

    Yields:
        What each run returned; no two runs went the same way.
    """
    wheels: list[list[int]] = []  # position and size of each choice, in the order of asking
    while True:
        yield run(_chooser(wheels))
        while wheels and wheels[-1][0] + 1 == wheels[-1][1]:
            wheels.pop()
        if not wheels:
            return
        wheels[-1][0] += 1


def _chooser(wheels: list[list[int]]) -> Choose:
    asked = 0

    def choose(num_ways: int) -> int:
        nonlocal asked
        if asked == len(wheels):
            wheels.append([0, num_ways])
        asked += 1
        return wheels[asked - 1][0]

    return choose
