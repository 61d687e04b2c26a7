"""What `make bench-search` rests on: replayed sweeps, worked by hand."""

import json
import math
from itertools import combinations
from statistics import fmean

import pytest

from benchmarks.search import compare, quality_seeds
from benchmarks.search_describe import pooled_deviation
from benchmarks.search_replay import (
    Curves,
    Replay,
    expected_quality,
    load_curves,
    replay_complete,
    replay_truncated,
)
from benchmarks.search_rules import Candidate
from sweeps.rules import NoStopping, SuccessiveHalving, SuccessivePromotion


def curves(final: float, *, at_3: float = 0.0, complete_3: float = 0.0) -> Curves:
    whole = [0.0] * 27
    whole[2], whole[26] = at_3, final
    return Curves(whole, {1: 0.0, 3: complete_3, 9: complete_3}, {0: final})


def diverging(epoch: int) -> Curves:
    """A training whose loss is not finite in this epoch."""
    return Curves([0.5] * (epoch - 1), {1: 0.5, 3: math.nan, 9: math.nan}, {0: math.nan})


def asha() -> SuccessiveHalving:
    return SuccessiveHalving(grace_epochs=3, reduction_factor=3, maximize=True)


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_without_a_rule_everything_is_trained_and_the_best_is_found(slots):
    replay = replay_truncated(NoStopping(), [curves(0.5), curves(0.7), curves(0.6)], slots)
    assert (replay.cost_epochs, replay.picked, replay.num_whole) == (3 * 27, 2, 3)


def test_a_stopped_trial_costs_the_epochs_until_its_rung():
    # Trial 1 passes, trial 2 stops after 3 epochs, and its better final score is never seen.
    trials = [curves(0.5, at_3=0.4), curves(0.7, at_3=0.3)]
    replay = replay_truncated(asha(), trials, 1)
    assert (replay.cost_epochs, replay.picked, replay.num_whole) == (27 + 3, 1, 1)


def test_a_training_that_diverges_costs_the_epoch_it_diverges_in():
    replay = replay_truncated(NoStopping(), [diverging(5), curves(0.7)], 1)
    assert (replay.cost_epochs, replay.picked, replay.num_whole) == (5 + 27, 2, 1)


def test_a_promoted_trial_pays_for_its_longer_schedules_from_the_beginning():
    # Rungs 3 and 9. All three begin, the best goes on: 3 * 3 + 9 + 27.
    trials = [curves(0.5, complete_3=0.1), curves(0.7, complete_3=0.2), curves(0.9)]
    rule = SuccessivePromotion(grace_epochs=3, reduction_factor=3, maximize=True)
    replay = replay_complete(rule, trials, 1)
    assert (replay.cost_epochs, replay.picked, replay.num_whole) == (3 * 3 + 9 + 27, 2, 1)


def test_with_two_slots_the_last_call_comes_while_a_first_rung_still_trains():
    # Trials 1 and 2 end together. The first free slot begins trial 3; the second one is told that
    # nobody new will come, and promotes trial 2. Trial 3 turns out better and follows. Trial 2 ends
    # rung 9 first and alone, so both go on to the whole schedule.
    trials = [curves(0.5), curves(0.7, complete_3=0.2), curves(0.9, complete_3=0.3)]
    rule = SuccessivePromotion(grace_epochs=3, reduction_factor=3, maximize=True)
    replay = replay_complete(rule, trials, 2)
    assert (replay.cost_epochs, replay.picked, replay.num_whole) == (3 * 3 + 2 * (9 + 27), 3, 2)


def test_a_schedule_that_diverges_is_not_promoted():
    rule = SuccessivePromotion(grace_epochs=3, reduction_factor=3, maximize=True)
    replay = replay_complete(rule, [diverging(1)], 1)
    assert replay.cost_epochs == 3
    assert replay.picked is None


@pytest.mark.parametrize("first", [1, 2])
def test_of_equal_scores_the_earlier_trial_is_picked(first):
    trials = [curves(0.4)] * (first - 1) + [curves(0.5), curves(0.5)]
    assert replay_truncated(NoStopping(), trials, 2).picked == first


def repeated(seen: float, *others: float) -> Curves:
    """A configuration whose score differs from seed to seed."""
    whole = [0.0] * 26 + [seen]
    return Curves(whole, {}, dict(enumerate((seen, *others))))


def test_the_quality_is_the_mean_over_seeds_and_a_diverged_training_counts_nothing():
    assert repeated(0.9, 0.6, math.nan).quality() == pytest.approx(0.5, abs=1e-12)
    assert repeated(0.9, 0.6, math.nan).quality((1, 2)) == pytest.approx(0.3, abs=1e-12)


@pytest.mark.parametrize("num_drawn", [1, 2, 3, 5])
def test_the_expected_quality_is_the_mean_over_all_draws(num_drawn):
    scores = [0.3, 0.9, 0.1, 0.9, 0.4]
    qualities = [0.8, 0.2, 0.5, 0.7, 0.6]

    def picked(drawn: tuple[int, ...]) -> int:
        return min(drawn, key=lambda index: (-scores[index], index))

    over_all = fmean(qualities[picked(drawn)] for drawn in combinations(range(5), num_drawn))
    assert expected_quality(scores, qualities, num_drawn) == pytest.approx(over_all, abs=1e-12)


def test_the_expected_quality_by_hand():
    # Pairs of three: with trial 0 in two of the three pairs, which it wins; the third one picks 1.
    quality = expected_quality([0.9, 0.8, 0.7], [0.5, 0.8, 0.9], 2)
    assert quality == pytest.approx((2 * 0.5 + 0.8) / 3, abs=1e-12)


def test_between_whole_numbers_the_expected_quality_is_a_straight_line():
    # 0.5 for one draw; for two, the quality of the better score: 0.2.
    assert expected_quality([0.0, 1.0], [0.8, 0.2], 1.5) == pytest.approx(0.35, abs=1e-12)


@pytest.mark.parametrize(("num_drawn", "expected"), [(0.2, 0.5), (7.0, 0.2)])
def test_at_least_one_and_at_most_all_are_drawn(num_drawn, expected):
    assert expected_quality([0.0, 1.0], [0.8, 0.2], num_drawn) == pytest.approx(expected, abs=1e-12)


def test_regret_is_in_mean_scores_though_the_pick_is_by_one_score():
    # Means 0.7, 0.8 and 0.4; seen are 0.9, 0.8 and 0.4. The rule trains trials 2 and 3 whole, at
    # the cost of two, and picks trial 2. All three together pick trial 1, 10 points below the best;
    # of the three pairs two pick trial 1 and one picks trial 2, 20 / 3 points below on average.
    trials = [repeated(0.9, 0.6, 0.6), repeated(0.8, 0.8, 0.8), repeated(0.4, 0.4, 0.4)]
    rule = Candidate("by hand", lambda trials: Replay(2 * 27, 2, 2))
    row = compare(rule, [trials, trials], (0, 1, 2))
    assert row.regret == pytest.approx(0, abs=1e-9)
    assert row.loss == pytest.approx(-10, abs=1e-9)
    assert row.random_regret == pytest.approx(20 / 3, abs=1e-9)
    assert row.gain == pytest.approx(20 / 3, abs=1e-9)
    assert row.cost == pytest.approx(2 / 3, abs=1e-9)


def test_training_everything_regrets_what_picking_by_one_score_costs():
    trials = [repeated(0.9, 0.6, 0.6), repeated(0.8, 0.8, 0.8)]
    rule = Candidate("all", lambda trials: replay_truncated(NoStopping(), trials, 1))
    row = compare(rule, [trials, trials], (0, 1, 2))
    assert (row.regret, row.random_regret) == pytest.approx((10, 10), abs=1e-9)
    assert (row.loss, row.gain) == pytest.approx((0, 0), abs=1e-9)


def test_mean_scores_count_only_where_every_configuration_has_them():
    whole, part = repeated(0.9, 0.6, 0.6), repeated(0.8, 0.8)
    assert quality_seeds([whole, whole]) == (0, 1, 2)
    assert quality_seeds([whole, whole], only_unseen=True) == (1, 2)
    assert quality_seeds([whole, part]) == (0,)


def test_the_pooled_deviation_weighs_groups_by_their_freedom():
    # Squares about the means: 2 of one degree of freedom, and 2 of two.
    assert pooled_deviation([[1, 3], [4, 5, 6]]) == pytest.approx(math.sqrt(4 / 3), abs=1e-12)


def test_the_record_is_read_by_seed_and_length(tmp_path):
    def line(seed: int, num_epochs: int, last: float, *, length: int | None = None) -> str:
        curve = [0.1] * ((length or num_epochs) - 1) + [last]
        key = {"configuration": 4, "seed": seed, "num_epochs": num_epochs}
        return json.dumps({**key, "val_accuracy": curve})

    lines = [line(0, 27, 0.9), line(1, 27, 0.8), line(2, 27, 0.5, length=7)]
    lines += [line(0, 1, 0.2), line(0, 3, 0.3), line(0, 9, 0.4)]
    (tmp_path / "task.jsonl").write_text("\n".join(lines))
    (read,) = load_curves(tmp_path / "task.jsonl")
    assert (read.final, read.complete) == (0.9, {1: 0.2, 3: 0.3, 9: 0.4})
    assert {seed: value for seed, value in read.final_by_seed.items() if seed < 2} == {
        0: 0.9,
        1: 0.8,
    }
    assert math.isnan(read.final_by_seed[2])  # it diverged in epoch 8
