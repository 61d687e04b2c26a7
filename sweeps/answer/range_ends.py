"""Whether the best trials crowd at an end of a range, and how far it could be widened."""

import math
from collections.abc import Sequence
from typing import Any

from sweeps.space.ranges import QUniform, Range
from sweeps.space.sampled import Listed

NEAR_END_RATIO = 0.05
"""The best trial is at an end if it lies within this share of the range, on the range's scale."""
END_RATIO = 0.25
"""So many of the best trials' positions count as towards that end; see `crowded_end`."""
MIN_TRIALS = 8
MIN_TRIALS_OF_FEW_VALUES = 12
FEW_VALUES = 20
MIN_VALUES = 4
"""With three listed values or fewer, most of them are ends."""


def crowded_end(domain: Any, best_first: Sequence[Any]) -> int | None:
    """The end of a domain at which its best trials lie: -1 below, 1 above, None neither.

    Of a range the best trial must lie in the outer 5 %, and most of the best quarter in the same
    outer quarter: that is where they are if the objective rises all the way to the end and trials
    are spread evenly. Of a few ordered values all of the best quarter, at least three, must have
    the outermost. Where the key does nothing, evenly spread trials look so in about 5 % of sweeps.

    Args:
        domain: A range, or a list of numbers; others have no ends.
        best_first: The values of the trials that have a result, the best trial's first.
    """
    num_best = len(best_first) // 4
    if isinstance(domain, Range) and (domain.num_values or math.inf) > FEW_VALUES:
        if len(best_first) < MIN_TRIALS:
            return None
        places = [_position(domain, value) for value in best_first[:num_best]]
        for end, distances in ((-1, places), (1, [1 - place for place in places])):
            towards = sum(distance <= END_RATIO for distance in distances)
            if distances[0] <= NEAR_END_RATIO and towards > num_best / 2:
                return end
        return None
    ends = _ends(domain)
    if ends is None or len(best_first) < MIN_TRIALS_OF_FEW_VALUES:
        return None
    for end, value in zip((-1, 1), ends, strict=True):
        if all(one == value for one in best_first[:num_best]):
            return end
    return None


def widened(domain: Range, end: int) -> list[float] | None:
    """The range with half its length, on its own scale, added at one end.

    A lower bound from 0 on stays at 0 or above (for whole numbers from 1 on, at 1), and a fraction
    at 1 or below: most such quantities go no further.

    Returns:
        As the sweep file writes it; None if there is no room.
    """
    low, high = domain.bounds
    from_bound = low if end < 0 else high
    whole = isinstance(low, int) and isinstance(high, int)
    if domain.is_log:
        bound = from_bound * math.sqrt(high / low) ** end
    else:
        bound = from_bound + end * (high - low) / 2
    step = [domain.quniform[2]] if isinstance(domain, QUniform) else []
    if step:
        num_steps = max(1, (domain.num_values or 0) // 2)
        bound = float(f"{from_bound + end * num_steps * step[0]:.12g}")
    else:
        bound = round(bound) if whole else float(f"{bound:.1e}")
    least = 1 if whole and low >= 1 else 0
    if low >= least:
        bound = max(bound, least)
    if not whole and 0 <= low < high <= 1:
        bound = min(bound, 1)
    if bound in (low, high):
        return None
    return [bound, high, *step] if end < 0 else [low, bound, *step]


def _position(domain: Range, value: float) -> float:
    """From 0 at the lower bound to 1 at the upper one."""
    low, high = domain.bounds
    if domain.is_log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _ends(domain: Any) -> tuple[float, float] | None:
    if isinstance(domain, Range):
        return domain.bounds if (domain.num_values or 0) >= MIN_VALUES else None
    if not isinstance(domain, Listed) or len(domain.values) < MIN_VALUES:
        return None
    numbers = [
        value
        for value in domain.values
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return (min(numbers), max(numbers)) if len(numbers) == len(domain.values) else None
