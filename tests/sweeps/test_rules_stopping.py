import math

import pytest

from sweeps.rules import HyperbandStopping, MedianStopping, NoStopping, SuccessiveHalving


def halving(maximize: bool = True) -> SuccessiveHalving:
    return SuccessiveHalving(grace_epochs=2, reduction_factor=3, maximize=maximize)


def median(min_trials: int = 2, grace_epochs: int = 2, maximize: bool = True) -> MedianStopping:
    return MedianStopping(grace_epochs=grace_epochs, min_trials=min_trials, maximize=maximize)


def tell(rule, trial: int, *curve: float) -> bool:
    """Tell a curve from epoch 1, and return the answer to its last value."""
    return [rule.observe(trial, epoch, value) for epoch, value in enumerate(curve, start=1)][-1]


@pytest.mark.parametrize(
    ("epoch", "expected"), [(1, False), (2, True), (3, False), (6, True), (12, False), (18, True)]
)
def test_rungs_lie_at_grace_times_powers_of_the_factor(epoch, expected):
    assert halving().is_rung(epoch) is expected


def test_who_has_passed_the_last_rung_is_stopped_no_more():
    rule = SuccessiveHalving(grace_epochs=2, reduction_factor=3, maximize=True, max_rungs=1)
    for epoch in (2, 6):
        rule.observe(1, epoch, 0.9)
    assert [rule.observe(2, epoch, 0.1) for epoch in (2, 6)] == [False, True]


def test_between_rungs_everybody_goes_on():
    rule = halving()
    rule.observe(1, 2, 0.9)
    assert rule.observe(2, 3, 0.0)


@pytest.mark.parametrize(("value", "expected"), [(7.5, True), (6.5, False)])
def test_of_nine_at_a_rung_the_tenth_passes_as_third_and_not_as_fourth(value, expected):
    # floor(10 / 3) = 3 of the ten go on; there are 1 ... 9 already.
    rule = halving()
    for trial in range(1, 10):
        rule.observe(trial, 2, float(trial))
    assert rule.observe(10, 2, value) is expected


def test_the_first_at_a_rung_passes_and_a_worse_second_does_not():
    rule = halving()
    assert rule.observe(1, 2, 0.5)
    assert not rule.observe(2, 2, 0.4)


def test_equals_pass_together():
    rule = halving()
    assert rule.observe(1, 2, 0.5)
    assert rule.observe(2, 2, 0.5)


def test_halving_lets_smaller_values_pass_when_minimizing():
    rule = halving(maximize=False)
    assert rule.observe(1, 2, 0.5)
    assert rule.observe(2, 2, 0.4)
    assert not rule.observe(3, 2, 0.6)


@pytest.mark.parametrize("maximize", [True, False])
def test_nan_passes_no_rung_even_alone(maximize):
    assert not halving(maximize).observe(1, 2, math.nan)


@pytest.mark.parametrize("maximize", [True, False])
def test_nan_counts_as_worst_of_those_at_a_rung(maximize):
    # Three at the rung, of which floor(3 / 3) = 1 passes: the only one with a number.
    rule = halving(maximize)
    rule.observe(1, 2, math.nan)
    rule.observe(2, 2, math.nan)
    assert rule.observe(3, 2, 0.1)


def test_the_recipe_itself_is_never_stopped_but_others_are_measured_against_it():
    rule = halving()
    rule.observe(1, 2, 0.9)
    assert rule.observe(0, 2, 0.5)
    assert rule.observe(0, 6, math.nan)
    rule = halving()
    rule.observe(0, 2, 0.5)
    assert not rule.observe(2, 2, 0.4)


def test_a_value_told_twice_counts_once():
    # Were trial 1 counted twice, three values would let one pass; with two, only the best does.
    rule = halving()
    for _ in range(2):
        rule.observe(1, 2, 0.5)
    rule.observe(2, 2, 0.7)
    assert not rule.observe(3, 2, 0.6)


def test_after_a_restart_the_rungs_decide_as_before():
    curves = {trial: [(7 * trial + epoch) % 11 / 11 for epoch in range(6)] for trial in range(9)}
    before, after = halving(), halving()
    for epoch in range(1, 7):  # interleaved, as trials run
        for trial, curve in curves.items():
            before.observe(trial, epoch, curve[epoch - 1])
    for trial, curve in curves.items():  # trial by trial, as the folder is read
        tell(after, trial, *curve)
    for value in (0.1 * step for step in range(11)):
        for epoch in (2, 6):
            trial = 100 + round(value * 10)
            assert before.observe(trial, epoch, value) == after.observe(trial, epoch, value)


@pytest.mark.parametrize(("grace", "factor"), [(0, 3), (-1, 3), (2, 1), (2, 0)])
def test_rungs_that_would_not_rise_are_refused(grace, factor):
    with pytest.raises(ValueError, match="at least"):
        SuccessiveHalving(grace_epochs=grace, reduction_factor=factor, maximize=True)


def test_nothing_stops_without_a_rule():
    assert NoStopping().observe(1, 5, math.nan)


def test_median_compares_the_best_until_now_with_the_averages_of_the_others():
    # Averages after two epochs: (0.2 + 0.4) / 2 = 0.3, 0.5 and 0.7; their median is 0.5.
    for best, expected in ((0.5, True), (0.49, False)):
        rule = median()
        tell(rule, 1, 0.2, 0.4)
        tell(rule, 2, 0.4, 0.6)
        tell(rule, 3, 0.6, 0.8)
        assert tell(rule, 4, best, 0.1) is expected  # its best was an epoch ago


def test_median_of_two_averages_lies_between_them():
    # 0.3 and 0.5 after two epochs: 0.4.
    for best, expected in ((0.41, True), (0.39, False)):
        rule = median()
        tell(rule, 1, 0.2, 0.4)
        tell(rule, 2, 0.4, 0.6)
        assert tell(rule, 3, 0.0, best) is expected


def test_median_looks_at_others_only_until_the_same_epoch():
    rule = median()
    tell(rule, 1, 0.1, 0.1, 0.9, 0.9)
    tell(rule, 2, 0.1, 0.1, 0.9, 0.9)
    assert tell(rule, 3, 0.1, 0.1)


def test_median_stops_nobody_in_the_grace_period():
    rule = median(grace_epochs=3)
    for trial in (1, 2):
        tell(rule, trial, 0.9, 0.9, 0.9)
    assert tell(rule, 3, 0.1, 0.1)
    assert not rule.observe(3, 3, 0.1)


def test_median_stops_nobody_before_enough_others_have_got_as_far():
    rule = median(min_trials=2)
    tell(rule, 1, 0.9, 0.9)
    tell(rule, 2, 0.9)
    assert tell(rule, 3, 0.1, 0.1)
    rule.observe(2, 2, 0.9)
    assert not tell(rule, 4, 0.1, 0.1)


def test_median_when_minimizing_stops_the_larger():
    rule = median(maximize=False)
    tell(rule, 1, 0.5, 0.5)
    tell(rule, 2, 0.5, 0.5)
    assert tell(rule, 3, 0.4, 0.6)
    assert not tell(rule, 4, 0.6, 0.7)


def test_median_stops_nan_even_alone_and_in_the_grace_period():
    assert not median(grace_epochs=5).observe(1, 1, math.nan)


def test_median_spares_the_recipe_and_counts_its_curve():
    rule = median(min_trials=1)
    tell(rule, 0, 0.9, 0.9)
    assert not tell(rule, 1, 0.1, 0.1)
    assert tell(rule, 0, 0.9, 0.9, math.nan)


def test_median_counts_an_epoch_told_twice_once():
    # The average after two epochs is (0.2 + 0.6) / 2 = 0.4; with 0.6 twice it would be 0.47.
    rule = median(min_trials=1)
    tell(rule, 1, 0.2, 0.6)
    rule.observe(1, 2, 0.6)
    rule.observe(1, 3, 0.0)
    assert tell(rule, 2, 0.1, 0.41)
    # After three epochs (0.2 + 0.6 + 0.0) / 3 = 0.267; with 0.6 twice it would be 0.35.
    assert tell(rule, 3, 0.3, 0.3, 0.3)


@pytest.mark.parametrize(("grace", "trials"), [(0, 1), (1, 0)])
def test_median_refuses_counts_below_one(grace, trials):
    with pytest.raises(ValueError, match="at least 1"):
        MedianStopping(grace_epochs=grace, min_trials=trials, maximize=True)


def hyperband_stopping() -> HyperbandStopping:
    return HyperbandStopping(grace_epochs=1, reduction_factor=3, num_epochs=9, maximize=True)


# With rungs at 1 and 3 of 9 epochs, trials 1 to 5 are of brackets 0, 1, 0, 2 and 0
# (test_rules_hyperband.py).
def test_a_bracket_compares_at_its_own_rungs_only():
    rule = hyperband_stopping()
    rule.observe(1, 1, 0.9)
    assert not rule.observe(3, 1, 0.1)  # of bracket 0, whose first rung is 1
    assert rule.observe(2, 1, 0.1)  # of bracket 1, whose first rung is 3


def test_trials_of_different_brackets_do_not_compete():
    rule = hyperband_stopping()
    rule.observe(1, 3, 0.9)
    assert rule.observe(2, 3, 0.1)


def test_the_last_bracket_stops_nobody():
    rule = hyperband_stopping()
    assert all(rule.observe(4, epoch, math.nan) for epoch in range(1, 10))
