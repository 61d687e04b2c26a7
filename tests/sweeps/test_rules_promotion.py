import math
import random

import pytest

from sweeps.rules import SuccessivePromotion, rungs_below

WHOLE = 27


def promotion(
    maximize: bool = True, grace_epochs: int = 1, reduction_factor: int = 3
) -> SuccessivePromotion:
    return SuccessivePromotion(
        grace_epochs=grace_epochs, reduction_factor=reduction_factor, maximize=maximize
    )


def record(rule: SuccessivePromotion, rung: int, **values: float) -> None:
    for name, value in values.items():
        rule.record(int(name[1:]), rung, value, WHOLE)


def all_promotions(rule: SuccessivePromotion, *, last_call: bool) -> list[tuple[int, int | None]]:
    promotions = []
    while (promotion := rule.next_promotion(last_call=last_call)) is not None:
        promotions.append(promotion)
    return promotions


@pytest.mark.parametrize(
    ("num_epochs", "grace", "factor", "expected"),
    [
        (27, 1, 3, (1, 3, 9)),
        (27, 3, 3, (3, 9)),
        (27, 1, 9, (1, 9)),
        (16, 1, 2, (1, 2, 4, 8)),
        (6, 2, 3, (2,)),  # 6 is the whole one
        (26, 1, 3, (1, 3, 9)),  # 26 / 9 is well above sqrt(3)
        (30, 1, 3, (1, 3, 9)),  # 27 would cost nearly as much as the whole
        (3, 2, 3, ()),  # 3 / 2 is below sqrt(3)
        (1, 1, 3, ()),
    ],
)
def test_rungs_lie_at_grace_times_powers_and_not_close_to_the_whole(
    num_epochs, grace, factor, expected
):
    found = rungs_below(num_epochs, grace_epochs=grace, reduction_factor=factor)
    assert found == expected
    assert promotion(True, grace, factor).rungs(1, num_epochs) == expected


@pytest.mark.parametrize(("max_rungs", "expected"), [(1, (1,)), (2, (1, 3)), (5, (1, 3, 9))])
def test_the_number_of_rungs_can_be_limited_from_below(max_rungs, expected):
    rule = SuccessivePromotion(
        grace_epochs=1, reduction_factor=3, maximize=True, max_rungs=max_rungs
    )
    assert rule.rungs(1, WHOLE) == expected


def test_from_the_only_rung_a_trial_goes_to_the_whole_schedule():
    rule = SuccessivePromotion(grace_epochs=3, reduction_factor=3, maximize=True, max_rungs=1)
    record(rule, 3, t1=0.1, t2=0.2, t3=0.3)
    assert rule.next_promotion(last_call=False) == (3, None)


def test_a_rule_without_a_rung_is_refused():
    with pytest.raises(ValueError, match="at least 1 rung, got max_rungs 0"):
        SuccessivePromotion(grace_epochs=1, reduction_factor=3, maximize=True, max_rungs=0)


def test_a_trial_begins_at_the_first_rung():
    assert promotion(grace_epochs=3).first_rung(1, WHOLE) == 3


def test_a_schedule_too_short_for_rungs_is_trained_at_once():
    assert promotion(grace_epochs=2).first_rung(1, 3) is None


def test_the_recipe_goes_straight_to_the_whole_schedule():
    assert promotion().first_rung(0, WHOLE) is None


def test_nobody_is_promoted_before_the_rung_has_a_factor_of_trials():
    rule = promotion()
    record(rule, 1, t1=0.9, t2=0.8)
    assert rule.next_promotion(last_call=False) is None
    record(rule, 1, t3=0.1)
    assert rule.next_promotion(last_call=False) == (1, 3)


def test_of_six_the_best_two_are_promoted_the_better_first():
    rule = promotion()
    record(rule, 1, t1=0.1, t2=0.6, t3=0.2, t4=0.5, t5=0.3, t6=0.4)
    assert all_promotions(rule, last_call=False) == [(2, 3), (4, 3)]


def test_a_latecomer_is_promoted_beside_those_promoted_before():
    # After three, the best (0.3) went on; with a fourth still floor(4 / 3) = 1, now another one.
    rule = promotion()
    record(rule, 1, t1=0.1, t2=0.2, t3=0.3)
    assert rule.next_promotion(last_call=False) == (3, 3)
    record(rule, 1, t4=0.4)
    assert all_promotions(rule, last_call=False) == [(4, 3)]


def test_the_highest_rung_is_asked_first_while_trials_come():
    rule = promotion()
    record(rule, 1, t1=0.1, t2=0.2, t3=0.3)
    record(rule, 3, t4=0.1, t5=0.2, t6=0.3)
    assert rule.next_promotion(last_call=False) == (6, 9)
    assert rule.next_promotion(last_call=False) == (3, 3)


def test_from_the_last_rung_a_trial_goes_to_the_whole_schedule():
    rule = promotion()
    record(rule, 9, t1=0.1, t2=0.2, t3=0.3)
    assert rule.next_promotion(last_call=False) == (3, None)


def test_a_shorter_whole_schedule_has_fewer_rungs():
    rule = promotion()
    for trial, num_epochs in ((1, 27), (2, 9), (3, 27)):
        rule.record(trial, 3, [0.0, 0.1, 0.3, 0.2][trial], num_epochs)
    assert rule.next_promotion(last_call=False) == (2, None)


def test_at_the_last_call_a_rung_with_one_trial_promotes_it():
    rule = promotion()
    record(rule, 1, t1=0.1)
    assert rule.next_promotion(last_call=False) is None
    assert rule.next_promotion(last_call=True) == (1, 3)
    assert rule.next_promotion(last_call=True) is None


def test_at_the_last_call_the_lowest_rung_is_asked_first():
    # So that rung 3 decides among all that will reach it.
    rule = promotion()
    record(rule, 1, t1=0.1, t2=0.2)
    record(rule, 3, t3=0.3)
    assert rule.next_promotion(last_call=True) == (2, 3)


def test_the_last_call_promotes_no_second_one_where_the_best_went_before():
    rule = promotion()
    record(rule, 1, t1=0.1, t2=0.2, t3=0.3, t4=0.15, t5=0.12)  # floor(5 / 3) = 1
    assert rule.next_promotion(last_call=False) == (3, 3)
    assert rule.next_promotion(last_call=True) is None


@pytest.mark.parametrize("maximize", [True, False])
def test_nan_is_never_promoted_but_counts_among_the_trials_of_its_rung(maximize):
    rule = promotion(maximize)
    record(rule, 1, t1=math.nan, t2=math.nan, t3=0.1)
    assert all_promotions(rule, last_call=True) == [(3, 3)]


def test_a_rung_of_nan_alone_promotes_nobody():
    rule = promotion()
    record(rule, 1, t1=math.nan)
    assert rule.next_promotion(last_call=True) is None


def test_when_minimizing_the_smallest_is_promoted():
    rule = promotion(maximize=False)
    record(rule, 1, t1=0.3, t2=0.1, t3=0.2)
    assert rule.next_promotion(last_call=False) == (2, 3)


def test_of_equals_the_earlier_trial_is_promoted():
    rule = promotion()
    record(rule, 1, t3=0.3, t2=0.3, t1=0.1)
    assert rule.next_promotion(last_call=False) == (2, 3)


def test_a_rung_told_twice_counts_once():
    rule = promotion()
    record(rule, 1, t1=0.1, t2=0.2)
    record(rule, 1, t1=0.9)
    assert rule.next_promotion(last_call=False) is None
    record(rule, 1, t3=0.0)
    assert rule.next_promotion(last_call=False) == (2, 3)


def test_the_recipe_is_not_promoted_since_it_is_already_there():
    rule = promotion()
    record(rule, 1, t0=0.9, t1=0.2, t2=0.1)
    assert all_promotions(rule, last_call=True) == [(1, 3)]


@pytest.mark.parametrize("told_first", ["record", "promoted"])
def test_what_was_promoted_before_a_restart_is_not_promoted_again(told_first):
    rule = promotion()
    if told_first == "promoted":
        rule.promoted(3, 1)
    record(rule, 1, t1=0.1, t2=0.2, t3=0.3)
    if told_first == "record":
        rule.promoted(3, 1)
    assert rule.next_promotion(last_call=False) is None


def sweep(rule: SuccessivePromotion, values: list[float]) -> list[tuple[int, int | None]]:
    """One slot: trials 1, 2, ... until none is left; returns what was trained, in order.

    ``values[trial]`` is a trial's value at every rung.
    """
    trained: list[tuple[int, int | None]] = []
    new = iter(range(1, len(values)))
    while True:
        last_call = len({trial for trial, _ in trained}) == len(values) - 1
        job = rule.next_promotion(last_call=last_call)
        if job is None:
            trial = next(new, None)
            if trial is None:
                return trained
            job = trial, rule.first_rung(trial, WHOLE)
        trained.append(job)
        if job[1] is not None:
            rule.record(job[0], job[1], values[job[0]], WHOLE)


def test_a_sweep_of_nine_with_one_slot_goes_as_worked_by_hand():
    # Rungs 3 and 9 of 27. Values rise with the trial, so that every third one promotes its like:
    # trials 3, 6 and 9 reach rung 9 (each while still the best), and then 9 the whole schedule.
    # Trial 4 is promoted as well: of four, floor(4 / 3) = 1 is promotable, the best so far, 4.
    trained = sweep(promotion(grace_epochs=3), [math.nan, *(0.1 * t for t in range(1, 10))])
    assert trained == [
        (1, 3), (2, 3), (3, 3), (3, 9), (4, 3), (4, 9), (5, 3), (5, 9), (5, None),
        (6, 3), (6, 9), (6, None), (7, 3), (7, 9), (7, None), (8, 3), (8, 9), (8, None),
        (9, 3), (9, 9), (9, None),
    ]  # fmt: skip


def test_a_sweep_that_falls_from_the_first_trial_on_promotes_as_few_as_synchronous_halving():
    # Of nine, 9 / 3 = 3 reach rung 9 and 1 the whole schedule: the first three, and the first.
    trained = sweep(promotion(grace_epochs=3), [math.nan, *(-0.1 * t for t in range(1, 10))])
    assert [job for job in trained if job[1] != 3] == [(1, 9), (2, 9), (3, 9), (1, None)]


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order_the_best_is_trained_whole_if_every_rung_ranks_alike(seed):
    values = [math.nan, *(0.01 * t for t in range(1, 38))]
    order = random.Random(seed).sample(values[1:], 37)
    trained = sweep(promotion(), [math.nan, *order])
    assert (1 + order.index(max(order)), None) in trained


@pytest.mark.parametrize("seed", range(10))
def test_a_restart_at_any_moment_changes_no_decision(seed):
    rng = random.Random(seed)
    events = [(trial, rung, rng.random()) for rung in (1, 3, 9) for trial in range(1, 20)]
    running, decisions = promotion(), []
    for trial, rung, value in events[: rng.randrange(len(events))]:
        running.record(trial, rung, value, WHOLE)
        decisions.append(running.next_promotion(last_call=False))
    restarted = promotion()
    for trial, rung, value in sorted(events[: len(decisions)]):  # in index order
        restarted.record(trial, rung, value, WHOLE)
    before = {None: 9, 9: 3, 3: 1}
    for trial, to in (decision for decision in decisions if decision is not None):
        restarted.promoted(trial, before[to])
    assert all_promotions(restarted, last_call=True) == all_promotions(running, last_call=True)


@pytest.mark.parametrize(("grace", "factor"), [(0, 3), (2, 1)])
def test_rungs_that_would_not_rise_are_refused(grace, factor):
    with pytest.raises(ValueError, match="at least"):
        promotion(grace_epochs=grace, reduction_factor=factor)
