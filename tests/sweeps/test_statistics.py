import math

import numpy as np
import pytest
import scipy.stats

from sweeps.answer.correct_images import pack_images, unpack_images
from sweeps.answer.statistics import (
    Interval,
    average_ranks,
    combined_interval,
    mean_interval,
    paired_difference,
    spearman,
    standard_error_of_paired_accuracy,
)
from sweeps.answer.student_t import student_t_quantile


@pytest.mark.parametrize("confidence", [0.05, 0.5, 0.95, 0.975, 0.99, 0.9995])
def test_t_quantiles_are_scipys(confidence):
    # Either side of the degrees of freedom from which a series takes over.
    for df in (1, 1.5, 2, 2.7, 3, 4, 9, 30, 777.7, 9_999, 10_000, 10_001, 1e6, 1e9):
        expected = scipy.stats.t.ppf((1 + confidence) / 2, df)
        assert student_t_quantile(df, confidence) == pytest.approx(expected, rel=1e-9)


def test_t_quantiles_end_at_the_normal_one():
    assert student_t_quantile(math.inf) == pytest.approx(1.959963985, abs=1e-9)


@pytest.mark.parametrize(("df", "confidence", "message"), [
    (0.5, 0.95, "degrees of freedom must be at least 1, got 0.5"),
    (math.nan, 0.95, "degrees of freedom must be at least 1, got nan"),
    (3, 1, "confidence must be above 0 and below 1, got 1"),
])  # fmt: skip
def test_quantiles_that_do_not_exist_are_refused(df, confidence, message):
    with pytest.raises(ValueError, match=message):
        student_t_quantile(df, confidence)


def test_the_interval_of_a_mean_is_that_computed_by_hand():
    # Deviations -2, 0, 2: variance 8 / 2 = 4; t with 2 degrees of freedom is 4.302653.
    interval = mean_interval([1, 3, 5])
    assert (interval.mean, interval.n) == (3, 3)
    assert interval.half_width == pytest.approx(4.302653 * 2 / math.sqrt(3), rel=1e-6)
    assert interval.low == pytest.approx(3 - 4.968276, abs=1e-5)
    assert interval.high == pytest.approx(3 + 4.968276, abs=1e-5)


def test_a_single_value_has_no_interval():
    interval = mean_interval([0.5])
    assert interval == Interval(0.5, None, 1)
    assert (interval.low, interval.high) == (None, None)


@pytest.mark.parametrize("values", [[], [0.1, math.nan], [math.inf]])
def test_no_value_and_no_number_are_refused(values):
    with pytest.raises(ValueError, match="at least one value, and all of them finite"):
        mean_interval(values)


def test_a_paired_difference_is_scipys():
    rng = np.random.default_rng(0)
    theirs = rng.normal(size=5).tolist()
    ours = [value + gain for value, gain in zip(theirs, rng.normal(0.3, 0.1, 5), strict=True)]
    expected = scipy.stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    found = paired_difference(ours, theirs)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_what_a_seed_does_to_both_cancels():
    assert paired_difference([0.9, 0.7, 0.8], [0.85, 0.65, 0.75]).half_width == pytest.approx(
        0, abs=1e-12
    )


def test_pairs_of_unequal_number_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        paired_difference([0.9, 0.7], [0.85])


def test_equal_differences_of_accuracies_are_known_to_a_step_only():
    # Steps of 0.01: rounding has variance 1e-4 / 12, the difference of two twice that.
    found = paired_difference([0.96, 0.95], [0.95, 0.94], step=0.01)
    assert found.half_width == pytest.approx(12.706205 * math.sqrt(1e-4 / 6 / 2), rel=1e-6)
    assert mean_interval([0.9, 0.9], step=0.01).half_width == pytest.approx(
        12.706205 * math.sqrt(1e-4 / 12 / 2), rel=1e-6
    )


def test_values_that_differ_by_more_than_steps_are_not_changed_by_them():
    values = [0.90, 0.95, 0.97]
    assert mean_interval(values, step=0.01) == mean_interval(values)


def test_the_error_of_a_paired_accuracy_is_that_computed_by_hand():
    # Differences 1, 0, 0, -1, 0: mean 0, variance 2 / 4; its mean's error is sqrt(0.5 / 5).
    a, b = [1, 1, 0, 0, 1], [0, 1, 0, 1, 1]
    assert standard_error_of_paired_accuracy(a, b) == pytest.approx(math.sqrt(0.1))


def test_the_paired_error_of_many_images_is_mcnemars():
    # b and c images that only one gets right: variance of the difference of accuracies
    # (b + c - (b - c)^2 / n) / n^2, here to 1 / n.
    a, b = np.ones(1000), np.ones(1000)
    a[:30], b[30:80] = 0, 0
    expected = math.sqrt(80 - 20**2 / 1000) / 1000
    assert standard_error_of_paired_accuracy(a, b) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("a", "b"), [([1, 0], [1]), ([1], [0]), ([[1, 0]], [[0, 1]])])
def test_images_that_do_not_pair_are_refused(a, b):
    with pytest.raises(ValueError, match="two vectors of the same 2 or more images"):
        standard_error_of_paired_accuracy(a, b)


def test_seeds_and_images_add_up_as_variances():
    # Differences 0.01, 0.02, 0.03: s^2 / n = 1e-4 / 3.
    found = combined_interval([0.01, 0.02, 0.03], 0.004)
    assert found.mean == pytest.approx(0.02)
    assert found.half_width == pytest.approx(4.302653 * math.sqrt(1e-4 / 3 + 1.6e-5), rel=1e-6)
    assert combined_interval([0.01], 0.004) == Interval(0.01, None, 1)


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
@pytest.mark.parametrize("seed_deviation", [0, 0.01, 0.05])
def test_combined_intervals_hold_for_new_seeds_and_new_images(num_seeds, seed_deviation):
    rng, num_images, holds = np.random.default_rng(num_seeds), 100, 0
    for _ in range(400):
        differences = (
            rng.normal(0, seed_deviation, (num_seeds, 1))
            + rng.normal(0, 0.2, num_images)
            + rng.normal(0, 0.2, (num_seeds, num_images))
        )
        by_image = differences.mean(axis=0)
        error = standard_error_of_paired_accuracy(by_image, np.zeros(num_images))
        found = combined_interval(differences.mean(axis=1).tolist(), error)
        holds += abs(found.mean) <= (found.half_width or 0)
    # The true difference is 0. 0.95 less three standard errors of 400 draws.
    assert holds / 400 > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 400)


def test_mean_intervals_hold_the_mean_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    holds = 0
    for values in rng.normal(size=(2000, 3)):
        holds += abs((found := mean_interval(values.tolist())).mean) <= (found.half_width or 0)
    assert holds / 2000 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 2000))


def test_rank_correlations_with_ties_are_scipys():
    rng = np.random.default_rng(0)
    for num_values in (2, 3, 10):
        xs, ys = (rng.integers(num_values, size=30).tolist() for _ in range(2))
        expected, _ = scipy.stats.spearmanr(xs, ys)
        assert spearman(xs, ys) == pytest.approx(expected, abs=1e-12)


def test_equal_values_share_the_average_of_their_ranks():
    assert average_ranks([5, 1, 5, 9]).tolist() == [2.5, 1, 2.5, 4]


def test_the_same_order_correlates_with_exactly_1_and_the_opposite_with_minus_1():
    assert spearman([1, 2, 30], [0.1, 0.5, 0.6]) == 1
    assert spearman([1, 2, 30], [0.6, 0.5, 0.1]) == -1


@pytest.mark.parametrize(("xs", "ys"), [
    ([], []), ([1], [2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [4, 4, 4]),
    ([1, math.nan, 3], [1, 2, 3]), ([1, 2], [math.nan, 1]),
])  # fmt: skip
def test_a_rank_correlation_that_is_undefined_is_none(xs, ys):
    assert spearman(xs, ys) is None


def test_values_without_partner_are_refused():
    with pytest.raises(ValueError, match="needs pairs, got 2 and 1"):
        spearman([1, 2], [1])


@pytest.mark.parametrize("num_images", [1, 7, 8, 9, 361])
def test_packed_images_are_the_same_again(num_images):
    correct = np.random.default_rng(0).random(num_images) < 0.5
    packed = pack_images(correct)
    assert unpack_images(packed, num_images).tolist() == correct.tolist()
    assert len(packed) == 2 * math.ceil(num_images / 8)


def test_the_first_image_is_the_highest_bit():
    assert pack_images([True, False, False, False, False, False, True, True, True]) == "8380"


def test_packed_images_of_another_number_are_refused():
    with pytest.raises(ValueError, match="2 bytes are not the bits of 17 images"):
        unpack_images("8380", 17)
