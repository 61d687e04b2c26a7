import math

import pytest

from sweeps.stopping import SuccessiveHalving


def halving(maximize: bool = True) -> SuccessiveHalving:
    return SuccessiveHalving(grace_epochs=2, reduction_factor=3, maximize=maximize)


@pytest.mark.parametrize(
    ("epoch", "expected"), [(1, False), (2, True), (3, False), (6, True), (12, False), (18, True)]
)
def test_rungs_lie_at_grace_times_powers_of_the_factor(epoch, expected):
    assert halving().is_rung(epoch) is expected


def test_between_rungs_everybody_passes():
    rungs = halving()
    rungs.record(1, 2, 0.9)
    assert rungs.passes(2, 3, 0.0)


def test_of_nine_at_a_rung_the_tenth_passes_as_third_and_not_as_fourth():
    # floor(10 / 3) = 3 of the ten go on.
    for value, expected in ((7.5, True), (6.5, False)):
        rungs = halving()
        for trial in range(1, 10):
            rungs.record(trial, 2, float(trial))  # 1 ... 9
        assert rungs.passes(10, 2, value) is expected


def test_the_first_at_a_rung_passes_and_a_worse_second_does_not():
    rungs = halving()
    assert rungs.passes(1, 2, 0.5)
    assert not rungs.passes(2, 2, 0.4)


def test_smaller_is_better_when_minimizing():
    rungs = halving(maximize=False)
    assert rungs.passes(1, 2, 0.5)
    assert rungs.passes(2, 2, 0.4)
    assert not rungs.passes(3, 2, 0.6)


def test_nan_never_passes_a_rung_even_alone():
    assert not halving().passes(1, 2, math.nan)


def test_the_recipe_itself_is_never_stopped_but_others_are_measured_against_it():
    rungs = halving()
    rungs.record(1, 2, 0.9)
    assert rungs.passes(0, 2, 0.5)
    assert not rungs.passes(2, 2, 0.4)


def test_a_value_reported_twice_counts_once():
    # Were trial 1 counted twice, three values would let one pass; with two, only the best does.
    rungs = halving()
    for _ in range(2):
        rungs.record(1, 2, 0.5)
    rungs.record(2, 2, 0.7)
    assert rungs.passes(3, 2, 0.6) is False
