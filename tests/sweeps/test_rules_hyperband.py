import math
from collections import Counter

import pytest

from sweeps.rules import HyperbandPromotion, bracket_of
from sweeps.rules.hyperband import bracket_sizes


@pytest.mark.parametrize(
    ("num_rungs", "factor", "sizes"),
    [
        (4, 3, (81, 34, 15, 8, 5)),  # Li et al. 2018, table 1: R = 81 and eta = 3
        (2, 3, (9, 5, 3)),  # ceil(9 * 3/3), ceil(3 * 3/2), ceil(1 * 3/1)
        (0, 3, (1,)),
    ],
)
def test_brackets_have_the_sizes_of_hyperbands_table(num_rungs, factor, sizes):
    assert bracket_sizes(num_rungs, factor) == sizes


def test_trials_are_dealt_out_in_the_order_worked_by_hand():
    # Sizes 9, 5, 3 (sum 17). Behind after each turn: (9, 5, 3) -> 0 (-8, 5, 3); (1, 10, 6) -> 1
    # (1, -7, 6); (10, -2, 9) -> 0 (-7, -2, 9); (2, 3, 12) -> 2 (2, 3, -5); (11, 8, -2) -> 0.
    assert [bracket_of(trial, 2, 3) for trial in range(1, 6)] == [0, 1, 0, 2, 0]


def test_one_round_of_trials_fills_the_brackets_exactly():
    dealt = Counter(bracket_of(trial, 4, 3) for trial in range(1, 144))
    assert [dealt[bracket] for bracket in range(5)] == [81, 34, 15, 8, 5]


@pytest.mark.parametrize("num_trials", [1, 7, 20, 50, 300])
def test_any_number_of_trials_is_within_one_of_the_shares(num_trials):
    dealt = Counter(bracket_of(trial, 2, 3) for trial in range(1, num_trials + 1))
    for bracket, size in enumerate((9, 5, 3)):
        assert abs(dealt[bracket] - num_trials * size / 17) <= 1


def hyperband() -> HyperbandPromotion:
    return HyperbandPromotion(grace_epochs=1, reduction_factor=3, num_epochs=9, maximize=True)


def test_bracket_s_begins_s_rungs_later_and_the_last_one_with_the_whole_schedule():
    # Trials 1, 2 and 4 are of brackets 0, 1 and 2.
    assert [hyperband().rungs(trial, 9) for trial in (1, 2, 4)] == [(1, 3), (3,), ()]
    assert [hyperband().first_rung(trial, 9) for trial in (1, 2, 4)] == [1, 3, None]


def test_the_recipe_trains_the_whole_schedule_at_once():
    assert hyperband().first_rung(0, 9) is None


def test_a_trial_is_promoted_among_its_own_bracket_only():
    # Bracket 0 has trials 1, 3 and 5 at rung 1: floor(3 / 3) = 1 goes on, the best of those three.
    rule = hyperband()
    rule.record(2, 3, 0.99, 9)  # of bracket 1
    for trial, value in ((1, 0.2), (3, 0.4), (5, 0.3)):
        rule.record(trial, 1, value, 9)
    assert rule.next_promotion(last_call=False) == (3, 3)
    assert rule.next_promotion(last_call=False) is None


def test_at_the_last_call_every_bracket_promotes_its_best():
    rule = hyperband()
    rule.record(1, 1, 0.2, 9)
    rule.record(2, 3, 0.1, 9)
    promoted = [rule.next_promotion(last_call=True) for _ in range(3)]
    assert promoted == [(1, 3), (2, None), None]


def test_what_was_promoted_before_a_restart_is_not_promoted_again():
    rule = hyperband()
    rule.record(2, 3, 0.1, 9)
    rule.promoted(2, 3)
    assert rule.next_promotion(last_call=True) is None


def test_nan_is_promoted_in_no_bracket():
    rule = hyperband()
    rule.record(1, 1, math.nan, 9)
    rule.record(2, 3, math.nan, 9)
    assert rule.next_promotion(last_call=True) is None
