import math

import numpy as np
import pytest

from sweeps.answer.advice import (
    Noise,
    Row,
    advise,
    noise_between_seeds,
    noise_of_images,
)
from sweeps.space.domains import read_domain

LOG = {"loguniform": [0.01, 1]}
NUM_SWEEPS = 300


def rows_of(path, values, results):
    return [Row({path: value}, result) for value, result in zip(values, results, strict=True)]


def advice(rows, domain, path="lr", *, maximize=True, noise=None):
    return advise(
        rows,
        {path: read_domain(domain)},
        metric="val_accuracy",
        maximize=maximize,
        noise=noise,
    )


def kinds(*args, **kwargs):
    return [one.kind for one in advice(*args, **kwargs)]


def log_uniform(rng, size):
    return np.exp(rng.uniform(math.log(0.01), 0, size))


def share(make_kinds, kind):
    """The share of random sweeps that bring advice of a kind."""
    return sum(kind in make_kinds(np.random.default_rng(n)) for n in range(NUM_SWEEPS)) / NUM_SWEEPS


# Ends of ranges


def test_an_objective_that_rises_to_the_upper_end_says_widen():
    values = np.geomspace(0.011, 0.99, 16)
    (one,) = advice(rows_of("lr", values, np.log(values)), LOG)
    assert (one.kind, one.path) == ("edge", "lr")
    assert one.text == (
        "lr: the best of 16 trials lie at the upper end of the range (best 0.99, end 1), so the "
        "optimum may lie beyond; if 1 is not its limit, widen the range"
    )


def test_a_loss_that_falls_to_the_lower_end_says_widen():
    values = np.geomspace(0.0101, 1, 16)
    (one,) = advice(rows_of("lr", values, values), LOG, maximize=False)
    # Half of two decades: 0.01 / 10.
    assert "lower end" in one.text
    assert one.text.endswith("widen: loguniform: [0.001, 1], if there is anything below 0.01")


def test_an_objective_that_rises_to_the_end_is_noticed_in_most_random_sweeps_of_40():
    def found(rng):
        values = log_uniform(rng, 40)
        return kinds(rows_of("lr", values, np.log(values) + rng.normal(0, 0.2, 40)), LOG)

    # Of 40 trials none is in the outer 5 % in 0.13 of sweeps; noise often lifts another above it.
    assert share(found, "edge") >= 0.6


def test_an_optimum_in_the_middle_is_not_taken_for_one_at_an_end():
    def found(rng):
        values = log_uniform(rng, 40)
        return kinds(rows_of("lr", values, -(np.log10(values) ** 2 + 2 * np.log10(values))), LOG)

    assert share(found, "edge") == 0


def test_listed_numbers_at_an_end_ask_for_more_values():
    values = [8, 4, 2, 1] * 4
    (one,) = advice(rows_of("batch", values, values), {"grid": [8, 4, 2, 1]}, "batch")
    assert one.text.endswith("add values above 8, if there is anything above 8")


# Keys without effect


def test_a_key_without_effect_is_told_with_the_number_of_trials():
    rng = np.random.default_rng(2)
    values = log_uniform(rng, 24)
    (one,) = advice(rows_of("lr", values, rng.normal(size=24)), LOG)
    assert (one.kind, one.path) == ("no_effect", "lr")
    assert one.text.startswith("lr: no effect seen in 24 trials (rank correlation ")
    assert "a small one may be there" in one.text


@pytest.mark.parametrize("domain", [LOG, {"choice": ["a", "b", "c"]}], ids=["range", "choice"])
def test_most_keys_that_do_nothing_are_told(domain):
    def found(rng):
        values = log_uniform(rng, 24) if domain is LOG else rng.choice(list("abc"), 24).tolist()
        return kinds(rows_of("lr", values, rng.normal(size=24)), domain)

    # p is above 0.2 in 0.8 of them; the rank correlation seldom decides.
    assert share(found, "no_effect") >= 0.65


def strong_effects(rng):
    """Signal of deviation 1, noise of half that: monotone, in the middle, and between choices."""
    noise = rng.normal(0, 0.5, 24)
    logs = rng.uniform(-1, 1, 24)
    values = 10.0 ** (logs - 1)
    names = rng.choice(list("abc"), 24)
    return {
        "monotone": (LOG, values, math.sqrt(3) * logs + noise),
        "middle": (LOG, values, -(logs**2) / math.sqrt(4 / 45) + noise),
        "choice": ({"choice": ["a", "b", "c"]}, names.tolist(), 1.22 * (names == "a") * 2 + noise),
    }


@pytest.mark.parametrize("case", ["monotone", "middle", "choice"])
def test_keys_with_a_strong_effect_are_hardly_ever_told_to_have_none(case):
    def found(rng):
        domain, values, results = strong_effects(rng)[case]
        return kinds(rows_of("lr", values, results), domain)

    assert share(found, "no_effect") <= 0.02


def test_an_effect_by_which_trials_were_stopped_is_an_effect():
    # All with a high rate were stopped; among the completed ones nothing is left to see.
    rows = [Row({"lr": 0.3 + n / 100}, None, stopped=True) for n in range(12)]
    rows += [Row({"lr": 0.01 + n / 100}, 0.5 + 0.01 * (n * 5 % 12)) for n in range(12)]
    assert "no_effect" in kinds(rows[12:], LOG)
    assert "no_effect" not in kinds(rows, LOG)


def test_a_rate_at_which_trainings_diverge_has_an_effect():
    rows = [Row({"lr": 0.3 + n / 100}, math.nan) for n in range(12)]
    rows += [Row({"lr": 0.01 + n / 100}, 0.5 + 0.01 * (n * 5 % 12)) for n in range(12)]
    assert "no_effect" not in kinds(rows, LOG)


def test_nine_trials_are_too_few_for_a_word_on_effects():
    rng = np.random.default_rng(2)
    rows = rows_of("lr", log_uniform(rng, 9), rng.normal(size=9))
    assert "no_effect" not in kinds(rows, LOG)


def test_a_value_of_a_list_that_was_hardly_tried_is_not_judged():
    rows = rows_of("lr", ["a"] * 10 + ["b"] * 2, [0.5, 0.6] * 6)
    assert advice(rows, {"choice": ["a", "b"]}) == []


def test_trials_in_which_a_key_did_not_vary_do_not_count():
    rng = np.random.default_rng(2)
    rows = rows_of("lr", log_uniform(rng, 24), rng.normal(size=24))
    others = [Row({}, 5.0), Row({"lr": 0.5}, None), *[Row({"other": 1}, 9.0)] * 5]
    assert advice(rows + others, LOG) == advice(rows, LOG)


def test_sub_trees_are_choices_like_others():
    trees = [{"cosine": {"T_max": "5ep"}}, {"step": {"gamma": 0.1}}]
    rows = rows_of("schedule", trees * 8, [0.5, 0.9] * 8)
    assert advice(rows, {"choice": trees}, "schedule") == []
    rows = rows_of("schedule", trees * 8, [0.5, 0.5, 0.9, 0.9] * 4)
    assert kinds(rows, {"choice": trees}, "schedule") == ["no_effect"]


@pytest.mark.parametrize("domain", [{"value": 5}, {"derive": "2 * seed"}])
def test_fixed_and_derived_keys_are_passed_over(domain):
    rng = np.random.default_rng(2)
    assert advice(rows_of("lr", rng.random(24), rng.normal(size=24)), domain) == []


def test_advice_is_the_same_each_time_and_whatever_other_keys_there_are():
    rng = np.random.default_rng(2)
    rows = [
        Row({"lr": lr, "decay": decay}, result)
        for lr, decay, result in zip(*rng.random((3, 24)).tolist(), strict=True)
    ]
    domains = {name: read_domain({"uniform": [0, 1]}) for name in ("lr", "decay")}
    both = advise(rows, domains, metric="val_accuracy", maximize=True)
    assert both == advise(rows, domains, metric="val_accuracy", maximize=True)
    alone = advise(rows, {"decay": domains["decay"]}, metric="val_accuracy", maximize=True)
    assert [one for one in both if one.path == "decay"] == alone


# Noise


def test_a_spread_within_the_noise_is_the_only_thing_that_is_told():
    values = np.geomspace(0.011, 0.99, 16)
    results = 0.9 + 0.001 * np.linspace(0, 1, 16)
    (one,) = advice(rows_of("lr", values, results), LOG, noise=Noise(0.0005, "between seeds"))
    assert (one.kind, one.path) == ("noise", None)
    # Of 0, 1, ... 15: variance 16 * 17 / 12, in steps of 0.001 / 15.
    spread = 100 * 0.001 / 15 * math.sqrt(16 * 17 / 12)
    assert f"the 16 completed trials differ by {spread:.2f} points" in one.text
    assert "not above the noise between seeds, 0.05 points" in one.text


def test_a_spread_above_the_noise_and_an_unknown_noise_are_not_told():
    values = np.geomspace(0.011, 0.99, 16)
    rows = rows_of("lr", values, 0.9 + 0.001 * np.linspace(0, 1, 16))
    assert kinds(rows, LOG, noise=Noise(0.0001, "between seeds")) == ["edge"]
    assert kinds(rows, LOG) == ["edge"]


def test_a_spread_of_twice_the_noise_is_seldom_taken_for_noise():
    def found(rng):
        rows = rows_of("lr", log_uniform(rng, 8), rng.normal(0.9, 0.02, 8))
        return kinds(rows, LOG, noise=Noise(0.01, "between seeds"))

    # P(chi-square with 7 degrees < 7 / 4) is 0.028.
    assert share(found, "noise") <= 0.06


def test_seven_trials_are_too_few_for_a_word_on_noise():
    rows = rows_of("lr", np.geomspace(0.02, 0.9, 7), [0.5] * 7)
    assert advice(rows, LOG, noise=Noise(0.1, "between seeds")) == []


def test_noise_between_seeds_is_pooled_within_recipes():
    # Squares 2 (of 3 values) and 0.5 (of 2), over 2 + 1 degrees of freedom; the third tells none.
    noise = noise_between_seeds([[1, 2, 3], [5, 6], [9]])
    assert noise is not None
    assert noise.standard_deviation == pytest.approx(math.sqrt(2.5 / 3))
    assert noise.source == "between seeds"
    assert noise_between_seeds([[1], [2]]) is None
    assert noise_between_seeds([[1, 1]]) is None


def test_noise_of_images_is_binomial():
    noise = noise_of_images(0.9, 400)
    assert noise is not None
    assert noise.standard_deviation == pytest.approx(0.015)
    assert noise.source == "of 400 validation images"
    assert noise_of_images(1.0, 400) is None
