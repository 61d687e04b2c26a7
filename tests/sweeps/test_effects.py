import numpy as np
import pytest
import scipy.stats

from sweeps.answer.effects import p_value_of_groups, p_value_of_number


def test_p_values_of_nothing_are_spread_evenly():
    p_numbers, p_groups = [], []
    for n in range(300):
        rng = np.random.default_rng(n)
        results, groups = rng.normal(size=20), rng.integers(3, size=20).tolist()
        p_numbers.append(p_value_of_number(rng.random(20).tolist(), results.tolist(), rng))
        p_groups.append(p_value_of_groups(groups, results.tolist(), rng))
    for p_values in (p_numbers, p_groups):
        assert scipy.stats.kstest(p_values, "uniform").pvalue > 0.01


def test_p_values_of_groups_are_those_of_kruskal_and_wallis():
    rng = np.random.default_rng(0)
    groups = rng.normal([[0], [0.3], [0.8]], 1, (3, 15))
    found = p_value_of_groups(["a"] * 15 + ["b"] * 15 + ["c"] * 15, groups.ravel().tolist(), rng)
    # Chi-square is an approximation, 999 permutations another.
    assert found == pytest.approx(scipy.stats.kruskal(*groups).pvalue, abs=0.03)


def test_an_optimum_in_the_middle_is_an_effect():
    xs = np.linspace(-1, 1, 20)
    assert p_value_of_number(xs.tolist(), (-(xs**2)).tolist(), np.random.default_rng(0)) == 0.001


@pytest.mark.parametrize(("xs", "results"), [([1] * 12, range(12)), (range(12), [0.5] * 12)])
def test_what_does_not_vary_has_no_p_value(xs, results):
    rng = np.random.default_rng(0)
    assert p_value_of_number(list(xs), list(results), rng) is None
    assert p_value_of_groups(list(xs), list(results), rng) is None or len(set(xs)) > 1
