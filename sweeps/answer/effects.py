"""Whether a varied key has made any difference that can be seen, by permutation tests on ranks.

Under the hypothesis that a key does nothing, the results could as well have belonged to the trials
in any other order; the p-value is the share of random orders that look at least as dependent as
the real one. Ranks keep one diverged trial from deciding everything.

Source: Good 2005, "Permutation, parametric and bootstrap tests of hypotheses", chapter 3.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.statistics import average_ranks

NUM_PERMUTATIONS = 999
"""Enough to tell a p-value of 0.2 to 0.013 (its standard error)."""


def p_value_of_number(
    xs: Sequence[float], results: Sequence[float], rng: np.random.Generator
) -> float | None:
    """Of the hypothesis that results do not depend on a number.

    Tested is the share of variance that a parabola through the ranks explains: an optimum in the
    middle of a range is an effect too, though its rank correlation is 0.

    Args:
        xs: One per trial.
        results: Likewise; only their order counts.
        rng: Drawn from once per permutation.

    Returns:
        Above 0 to 1; None if all numbers or all results are equal.
    """
    ranks = average_ranks(xs)
    centred = ranks - ranks.mean()
    return _p_value(np.column_stack([centred, centred**2]), results, rng)


def p_value_of_groups(
    groups: Sequence[Hashable], results: Sequence[float], rng: np.random.Generator
) -> float | None:
    """Of the hypothesis that results do not depend on which group a trial is in.

    Tested is the share of variance of the ranks that lies between the groups, which orders
    permutations as the statistic of Kruskal and Wallis 1952 does.

    Args:
        groups: One per trial.
        results: Likewise; only their order counts.
        rng: Drawn from once per permutation.

    Returns:
        Above 0 to 1; None if there is one group, or all results are equal.
    """
    labels = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    members = np.eye(len(labels))[[labels[group] for group in groups]]
    return _p_value(members[:, 1:], results, rng)


def _p_value(
    design: NDArray[np.float64], results: Sequence[float], rng: np.random.Generator
) -> float | None:
    """Of the variance that a linear model explains; ``design`` is (trials, terms), no constant."""
    ranks = average_ranks(results)
    ranks -= ranks.mean()
    left, sizes, _ = np.linalg.svd(design - design.mean(axis=0), full_matrices=False)
    basis = left[:, sizes > 1e-9 * max(sizes, default=0)]  # (trials, independent terms)
    if not basis.size or not ranks.any():
        return None
    shuffled = rng.permuted(np.tile(ranks, (NUM_PERMUTATIONS, 1)), axis=1)
    explained, by_chance = (((order @ basis) ** 2).sum(axis=-1) for order in (ranks, shuffled))
    # The real order is one of the permutations; equal ones differ by rounding.
    at_least = np.count_nonzero(by_chance >= explained * (1 - 1e-9))
    return (1 + at_least) / (1 + NUM_PERMUTATIONS)
