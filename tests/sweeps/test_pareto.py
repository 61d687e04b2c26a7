import math

import numpy as np
import pytest

from sweeps.answer.pareto import pareto_front


def by_brute_force(points, directions):
    """The definition, word by word, on every pair."""
    signs = [1 if direction == "max" else -1 for direction in directions]

    def dominates(a, b):
        pairs = [(sign * x, sign * y) for sign, x, y in zip(signs, a, b, strict=True)]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)

    return [i for i, b in enumerate(points) if not any(dominates(a, b) for a in points)]


def test_only_what_nothing_beats_in_both_is_in_front():
    # Accuracy up, seconds down: the third is slower than the first and worse.
    points = [(0.9, 10), (0.95, 20), (0.89, 11), (0.97, 50)]
    assert pareto_front(points, ["max", "min"]) == [0, 1, 3]


@pytest.mark.parametrize("directions", [["max"], ["max", "min"], ["min", "min", "max"]])
@pytest.mark.parametrize("num_values", [3, 1000])  # many ties, hardly any
def test_fronts_of_random_points_are_those_of_brute_force(directions, num_values):
    rng = np.random.default_rng(num_values)
    for num_points in (1, 2, 40):
        points = rng.integers(num_values, size=(num_points, len(directions))).tolist()
        assert pareto_front(points, directions) == by_brute_force(points, directions)


def test_equal_points_are_in_front_together():
    assert pareto_front([(1, 1), (0, 0), (1, 1)], ["max", "max"]) == [0, 2]


def test_one_objective_leaves_its_best():
    assert pareto_front([(3,), (1,), (2,), (1,)], ["min"]) == [1, 3]


def test_a_nan_is_never_in_front_and_beats_nothing():
    points = [(math.nan, 1), (0.5, 5), (0.9, math.nan), (math.nan, math.nan)]
    assert pareto_front(points, ["max", "min"]) == [1]


def test_infinite_values_are_compared_like_others():
    assert pareto_front([(0.9, math.inf), (0.9, 5), (0.95, math.inf)], ["max", "min"]) == [1, 2]


def test_no_points_have_no_front():
    assert pareto_front([], ["max"]) == []


@pytest.mark.parametrize(("points", "directions"), [([(1, 2)], ["max"]), ([()], [])])
def test_points_without_a_value_for_each_objective_are_refused(points, directions):
    with pytest.raises(ValueError, match="needs a value for each"):
        pareto_front(points, directions)
