import numpy as np
import pytest

from sweeps.answer.range_ends import crowded_end, widened
from sweeps.space.domains import read_domain
from sweeps.space.ranges import Range

LOG = {"loguniform": [0.01, 1]}


def share_crowded(domain, best_first):
    """The share of 300 random sweeps whose best trials seem to crowd an end."""
    samples = (best_first(np.random.default_rng(seed)).tolist() for seed in range(300))
    return sum(crowded_end(read_domain(domain), values) is not None for values in samples) / 300


@pytest.mark.parametrize("num_trials", [8, 12, 20, 40])
def test_where_nothing_depends_on_it_the_best_crowd_an_end_in_few_sweeps(num_trials):
    assert share_crowded(LOG, lambda rng: 10 ** rng.uniform(-2, 0, num_trials)) <= 0.06


@pytest.mark.parametrize(
    "domain",
    [{"int": [1, 4]}, {"grid": [1, 2, 3, 4]}, {"choice": [4, 2, 3, 1]}, {"quniform": [1, 4, 1]}],
)
def test_of_few_values_the_best_crowd_an_end_in_few_sweeps(domain):
    assert share_crowded(domain, lambda rng: rng.integers(1, 5, 12)) <= 0.06


def test_one_lucky_trial_at_an_end_is_not_enough():
    best_first = [0.99, *np.geomspace(0.02, 0.2, 11)]
    assert crowded_end(read_domain(LOG), best_first) is None


def test_too_few_trials_have_no_crowd():
    assert crowded_end(read_domain(LOG), [0.99, 0.98, 0.97, 0.96, 0.5, 0.4, 0.3]) is None
    assert crowded_end(read_domain({"grid": [1, 2, 3, 4]}), [4, 4, 4, 3, 3, 2, 2, 1]) is None


@pytest.mark.parametrize("domain", [{"grid": [8, 1, 4, 2]}, {"choice": [8, 4, 2, 1]}])
def test_listed_numbers_have_ends_in_whatever_order(domain):
    best_first = [8, 8, 8, 4, 4, 4, 2, 2, 2, 1, 1, 1]
    assert crowded_end(read_domain(domain), best_first) == 1
    assert crowded_end(read_domain(domain), best_first[::-1]) == -1


@pytest.mark.parametrize("domain", [
    {"choice": ["a", "b", "c", "d"]}, {"choice": [1, 2, 3]}, {"choice": [True, False, 1, 2]},
    {"int": [1, 3]}, {"value": 5}, {"derive": "2 * seed"},
])  # fmt: skip
def test_what_has_no_order_or_hardly_a_middle_has_no_ends(domain):
    assert crowded_end(read_domain(domain), [1] * 12) is None


@pytest.mark.parametrize(("domain", "end", "expected"), [
    ({"loguniform": [0.2, 8]}, 1, [0.2, 51]),  # 8 * sqrt(40) = 50.6
    ({"loguniform": [0.2, 8]}, -1, [0.032, 8]),
    ({"uniform": [2, 10]}, 1, [2, 14]),
    ({"uniform": [2, 10]}, -1, [0, 10]),  # -2, but 0 is a limit to what is not negative
    ({"uniform": [-2, 2]}, -1, [-4, 2]),
    ({"uniform": [0, 10]}, -1, None),
    ({"uniform": [0.5, 0.9]}, 1, [0.5, 1]),  # 1.1, but a fraction ends at 1
    ({"uniform": [0.5, 1]}, 1, None),
    ({"int": [16, 64]}, 1, [16, 88]),
    ({"int": [2, 8]}, -1, [1, 8]),
    ({"int": [1, 8]}, -1, None),
    ({"int": [0, 8]}, 1, [0, 12]),
    ({"logint": [8, 128]}, 1, [8, 512]),
    ({"quniform": [0.1, 0.5, 0.1]}, 1, [0.1, 0.7, 0.1]),  # 5 values, so 2 steps more
    ({"quniform": [1, 5, 2]}, 1, [1, 7, 2]),
])  # fmt: skip
def test_a_widened_range_is_half_as_long_again_within_natural_limits(domain, end, expected):
    read = read_domain(domain)
    assert isinstance(read, Range)
    assert widened(read, end) == expected
