import json
import math

import numpy as np
import pytest

from sweeps.answer.confirmation import Candidate, Confirmation, choose, outcome
from sweeps.answer.correct_images import pack_images
from sweeps.answer.final_test import FinalTest, Score, final_difference
from sweeps.answer.verdict import judge

SEEDS = (11, 12, 13, 14, 15)
RECIPE = (0.970, 0.972, 0.969, 0.971, 0.973)


def candidate(name, values, seconds=None):
    return Candidate(name, f"{name} lr=0.8", dict(zip(SEEDS, values, strict=False)), seconds)


def confirmation(*candidates, recipe=RECIPE, metric="val_accuracy", maximize=True, **more):
    recipe = candidate("t0000", recipe, 100)
    return Confirmation(list(candidates), recipe, maximize, metric, **more)


def plus(*gains):
    return [value + gain for value, gain in zip(RECIPE, gains, strict=False)]


def score(correct):
    return Score(sum(correct) / len(correct), len(correct), pack_images(correct))


# Gains of 0.003, 0.004 and 0.005: s / sqrt(n) = 0.001 / sqrt(3); t with 2 degrees is 4.302653 at
# 95 % and 6.205347 at 97.5 %.
GAINS = (0.003, 0.004, 0.005)


def test_a_better_candidate_is_told_with_interval_seeds_and_cost():
    verdict = judge(confirmation(candidate("t0007", plus(*GAINS), 98), recipe=RECIPE[:3]))
    assert verdict.lines[0] == (
        "t0007 beats the recipe by 0.40 +- 0.25 points of val_accuracy (95 %, 3 seeds, paired) "
        "at 0.98 of its cost"
    )
    assert verdict.outcome == "better"
    assert verdict.winner.trial_id == "t0007"


def test_the_best_of_two_has_a_wider_interval_that_allows_for_the_choice():
    pair = (candidate("t0007", plus(*GAINS)), candidate("t0003", RECIPE[:3]))
    verdict = judge(confirmation(*pair, recipe=RECIPE[:3]))
    assert "0.40 +- 0.36 points" in verdict.lines[0]  # 6.205347 * 0.057735
    assert "best of 2 candidates" in verdict.text
    assert "candidates" not in judge(confirmation(pair[0])).lines[2]


def test_a_difference_within_its_interval_is_a_tie():
    # Gains 0.003, -0.001: mean 0.001, s / sqrt(2) = 0.002, t = 12.706205.
    verdict = judge(confirmation(candidate("t0007", plus(0.003, -0.001)), recipe=RECIPE[:2]))
    assert verdict.lines[0] == (
        "tie: t0007 is 0.10 points of val_accuracy better than the recipe, but the interval of the "
        "difference contains 0 (-2.44 to +2.64 points; 95 %, 2 seeds, paired)"
    )
    assert verdict.outcome == "tie"


def test_where_no_candidate_is_better_the_recipe_itself_is_best():
    worse = candidate("t0007", [value - gain for value, gain in zip(RECIPE, GAINS, strict=False)])
    verdict = judge(confirmation(worse, recipe=RECIPE[:3]))
    assert verdict.lines[0] == (
        "the recipe itself is best: t0007 comes nearest, 0.40 points of val_accuracy worse "
        "(-0.65 to -0.15 points; 95 %, 3 seeds, paired)"
    )
    assert verdict.winner.trial_id == "t0000"


def test_a_recipe_that_is_best_within_the_noise_says_so():
    verdict = judge(confirmation(candidate("t0007", plus(0.001, -0.002)), recipe=RECIPE[:2]))
    assert verdict.lines[0].startswith(
        "the recipe itself is best, though by no margin that shows: t0007 comes nearest, 0.05"
    )


def test_of_equal_means_the_recipe_wins():
    # 0.971 - 0.970 and 0.971 - 0.972: their sum is 0 but for rounding.
    equal = candidate("t0007", [0.971, 0.971])
    assert outcome(confirmation(equal, recipe=RECIPE[:2])) == "recipe"


def test_one_seed_shows_nothing():
    verdict = judge(confirmation(candidate("t0007", plus(0.1)), recipe=RECIPE[:1]))
    assert verdict.lines[0] == (
        "not shown: t0007 is 10.00 points of val_accuracy better than the recipe with one seed, "
        "which does not tell what another seed gives; confirm with 3 or more"
    )
    assert verdict.outcome == "one_seed"
    worse = judge(confirmation(candidate("t0007", plus(-0.1)), recipe=RECIPE[:1]))
    assert "one seed, so another may tell otherwise" in worse.lines[0]


def test_a_loss_is_better_when_lower_and_told_in_its_own_unit():
    better = candidate("t0007", [1.0, 1.1, 1.2])
    verdict = judge(confirmation(better, recipe=(1.3, 1.5, 1.7), metric="val_loss", maximize=False))
    # Gains 0.3, 0.4, 0.5.
    assert verdict.lines[0] == (
        "t0007 beats the recipe by 0.4 +- 0.248 of val_loss (95 %, 3 seeds, paired)"
    )
    assert verdict.lines[1] == (
        "mean val_loss over 3 seeds: t0007 1.1 +- 0.248, recipe 1.5 +- 0.497"
    )


def test_the_largest_mean_gain_is_chosen_and_the_first_of_equals():
    low, high, same = (
        candidate(name, plus(*gains))
        for name, gains in [
            ("t1", (0.001,) * 5),
            ("t2", (0.002,) * 5),
            ("t3", (0.002,) * 5),
        ]
    )
    assert choose(confirmation(low, high, same)).trial_id == "t2"


def test_a_missing_seed_is_left_out_on_both_sides_and_told():
    # Its seeds are the recipe's best two, so that unpaired means would flatter it.
    partial = Candidate("t0007", "", {12: 0.9720, 15: 0.9728})
    verdict = judge(confirmation(partial))
    assert verdict.outcome == "recipe"
    assert verdict.confirmation.comparisons[0].seeds == [12, 15]
    assert "t0007 and the recipe are compared on 2 of 5 seeds" in verdict.text
    assert "t0007 97.24 +- 0.51 % (2 seeds), recipe 97.10 +- 0.20 %" in verdict.text


def test_a_candidate_that_diverged_once_cannot_win():
    wild = candidate("t0007", (0.99, math.nan, 0.99, math.inf, 0.99))
    steady = candidate("t0003", plus(*(0.001,) * 5))
    verdict = judge(confirmation(wild, steady))
    assert verdict.winner.trial_id == "t0003"
    assert "t0007 diverged with seeds 12, 14, so it cannot win" in verdict.text
    assert judge(confirmation(wild)).lines[0].startswith("no answer: every candidate diverged")


def test_a_candidate_with_one_seed_gives_way_to_one_with_several():
    lucky, steady = candidate("t0007", plus(0.02)), candidate("t0003", plus(*(0.001,) * 5))
    assert choose(confirmation(lucky, steady)).trial_id == "t0003"


def test_a_recipe_that_diverged_is_told():
    verdict = judge(
        confirmation(candidate("t0007", plus(0, 0.003, 0.004)), recipe=(math.nan, *RECIPE[1:3]))
    )
    assert "the recipe diverged with seed 11" in verdict.text
    assert verdict.confirmation.comparisons[0].seeds == [12, 13]


@pytest.mark.parametrize("candidates", [(), (Candidate("t0007", "", {1: 0.9}),)])
def test_without_a_common_seed_there_is_no_answer(candidates):
    verdict = judge(confirmation(*candidates))
    assert verdict.outcome == "none"
    assert verdict.lines[0].startswith("no answer")
    assert verdict.winner.trial_id == "t0000"


def test_two_equal_gains_of_one_image_are_no_proof():
    one_image = candidate("t0007", [0.96, 0.97])
    recipe = [0.95, 0.96]
    known = confirmation(one_image, recipe=recipe, num_validation_images=100)
    assert outcome(known) == "tie"
    assert outcome(confirmation(one_image, recipe=recipe)) == "better"


def test_of_five_candidates_equal_to_the_recipe_one_is_called_better_in_one_of_forty_cases():
    rng, better = np.random.default_rng(0), 0
    for _ in range(400):
        values = rng.normal(0.97, 0.005, (6, 3)).tolist()
        candidates = [candidate(f"t{index}", row) for index, row in enumerate(values[1:])]
        better += outcome(confirmation(*candidates, recipe=values[0])) == "better"
    # 0.05 / 5 each, half of it on the side of better, times 5; and 3 standard errors of 400 draws.
    assert better / 400 < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 400)


def test_without_a_test_split_the_words_say_what_the_choice_rests_on():
    text = judge(confirmation(candidate("t0007", plus(*GAINS)))).lines[-1]
    assert "validation split" in text
    assert "test split was not used" in text


def test_the_test_split_is_told_with_images_seeds_and_pairing():
    # 100 images; per seed the winner gets 4 right that the recipe gets wrong, and no other way.
    ours, theirs = [True] * 98 + [False] * 2, [True] * 94 + [False] * 6
    test = FinalTest({11: score(ours), 12: score(ours)}, {11: score(theirs), 12: score(theirs)})
    difference = final_difference(test)
    assert difference is not None
    error = math.sqrt((4 * 0.96**2 + 96 * 0.04**2) / 99 / 100)
    assert difference.paired
    assert difference.difference.mean == pytest.approx(0.04)
    assert difference.difference.half_width == pytest.approx(12.706205 * error, rel=1e-6)
    text = judge(confirmation(candidate("t0007", plus(*GAINS)), test=test)).lines[-1]
    assert text == (
        "test split (100 images, 2 seeds): 98.00 % against 94.00 % of the recipe, "
        f"+4.00 +- {100 * 12.706205 * error:.2f} points (95 %, for new seeds and images): "
        "no difference shown"
    )


def test_one_test_of_each_holds_for_new_images_only():
    test = FinalTest(
        {11: score([True] * 95 + [False] * 5)}, {11: score([True] * 50 + [False] * 50)}
    )
    text = judge(confirmation(candidate("t0007", plus(*GAINS)), test=test)).lines[-1]
    # 45 of 100 images differ: error sqrt(0.45 * 0.55 / 99), t with 99 degrees is 1.984217.
    assert f"+45.00 +- {100 * 1.984217 * math.sqrt(0.45 * 0.55 / 99):.2f} points" in text
    assert "for new images, not new seeds): better there" in text


def test_without_the_images_accuracies_are_taken_as_independent():
    difference = final_difference(FinalTest({11: Score(0.9, 400)}, {11: Score(0.8, 400)}))
    assert difference is not None
    assert not difference.paired
    error = math.sqrt((0.9 * 0.1 + 0.8 * 0.2) / 400)
    # t with 399 degrees is 1.965927.
    assert difference.difference.half_width == pytest.approx(1.965927 * error, rel=1e-6)


def test_a_winning_recipe_is_tested_alone():
    worse = candidate("t0007", plus(-0.01, -0.01))
    test = FinalTest({}, {11: Score(0.95, 200), 12: Score(0.97, 200)})
    text = judge(confirmation(worse, recipe=RECIPE[:2], test=test)).lines[-1]
    assert text == "test split (200 images, 2 seeds): the recipe has 96.00 %"


def test_tests_on_different_images_are_refused():
    with pytest.raises(ValueError, match=r"had \[100, 200\] images; it must be the same"):
        final_difference(FinalTest({1: Score(0.9, 100)}, {1: Score(0.9, 200)}))


def test_the_verdict_is_plain_json():
    test = FinalTest({11: Score(0.9, 100)}, {11: Score(0.8, 100)})
    wild = candidate("t0009", [math.nan, 0.9])
    verdict = judge(confirmation(candidate("t0007", plus(*GAINS), 98), wild, test=test))
    data = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    assert (data["outcome"], data["winner"], data["mode"]) == ("better", "t0007", "max")
    assert data["candidates"][0]["gain"]["mean"] == pytest.approx(0.004)
    assert data["candidates"][0]["cost_ratio"] == pytest.approx(0.98)
    assert data["candidates"][1]["values"][0] == {"seed": 11, "value": None}
    assert data["test"]["difference"]["n"] == 1
    assert data["text"] == verdict.lines
