"""What a sweep's folder says about its confirmation."""

import math

import pytest

from sweeps.answer.confirmation import Confirmation
from sweeps.answer.final_test import Score
from sweeps.answer.verdict_of import read_confirmation, read_verdict
from sweeps.fresh_seeds import fresh_seed
from tests.sweeps.simulation import Driver, begin, quick_disk, write_sweep

TEXT = "search: {algorithm: random, trials: 4, seed: 5}\nconfirm: {top_k: 2, seeds: 2}\n"
FIRST, SECOND = (fresh_seed(5, copy, {0}) for copy in (1, 2))
IN_SEARCH = {0: 0.5, 1: 0.6, 2: 0.55, 3: 0.7}
CONFIRMED = {
    "t0000-s1": 0.5, "t0000-s2": 0.5, "t0001-s1": 0.6, "t0001-s2": 0.62,
    "t0003-s1": 0.58, "t0003-s2": 0.6,
}  # fmt: skip


@pytest.fixture
def driver(tmp_path, monkeypatch):
    quick_disk(monkeypatch)

    def driver(confirmed=CONFIRMED, failing=None, text=TEXT) -> Driver:
        def value(record, num_epochs, epoch):
            return confirmed[record.id] if record.copy else IN_SEARCH[record.index]

        def failure(assignment):
            reason = (failing or {}).get(assignment.record.id)
            return {"reason": reason, "error": "E: no"} if reason else None

        return Driver(write_sweep(tmp_path, text), begin(tmp_path / "a"), value, failure=failure)

    return driver


def read(driver: Driver, test=None) -> Confirmation:
    found = read_confirmation(driver.folder, driver.sweep, test or {})
    assert found is not None
    return found


def test_every_candidate_has_its_values_by_seed_the_best_of_the_search_first(driver):
    one = driver()
    one.run()
    found = read(one)
    assert [(c.trial_id, c.values) for c in found.candidates] == [
        ("t0003", {FIRST: 0.58, SECOND: 0.6}), ("t0001", {FIRST: 0.6, SECOND: 0.62}),
    ]  # fmt: skip
    assert found.recipe.values == {FIRST: 0.5, SECOND: 0.5}
    assert found.candidates[0].name == one.memory.records[3].name


def test_of_a_loss_the_smallest_of_the_search_is_first(driver):
    one = driver(text=f"{TEXT}objective: {{metric: val_loss}}\n", confirmed=dict.fromkeys(
        ["t0000-s1", "t0000-s2", "t0002-s1", "t0002-s2", "t0001-s1", "t0001-s2"], 0.5
    ))  # fmt: skip
    one.run()
    found = read(one)
    assert [c.trial_id for c in found.candidates] == ["t0002", "t0001"]
    assert not found.maximize


def test_a_training_s_mean_seconds_are_those_of_the_completed_ones(driver):
    one = driver(failing={"t0003-s2": "error"})
    one.run()
    assert read(one).candidates[0].mean_seconds == 9.0  # 9 epochs of a second


def test_a_training_that_diverged_is_nan_and_one_that_failed_is_left_out(driver):
    one = driver(failing={"t0003-s1": "nan", "t0001-s2": "error"})
    one.run()
    third, first = read(one).candidates
    assert math.isnan(third.values[FIRST])
    assert third.values[SECOND] == 0.6
    assert first.values == {FIRST: 0.6}


def test_before_the_recipe_and_another_trial_have_ended_there_is_no_confirmation(driver):
    one = driver()
    one.run(5)  # four trials, and the recipe with its first fresh seed
    assert read_confirmation(one.folder, one.sweep, {}) is None
    assert read_verdict(one.folder, one.sweep, {}) is None
    one.run(1)
    assert read_verdict(one.folder, one.sweep, {}) is not None


def test_a_validation_split_s_size_is_known_from_the_data(driver):
    one = driver()
    one.run()
    assert read(one).num_validation_images == 297  # of digits


def test_test_results_are_the_winner_s_and_the_recipe_s_by_seed(driver):
    one = driver()
    one.run()
    results = {
        "t0000-s1": {"accuracy": 0.4, "num_images": 296.0},
        "t0001-s1": {"accuracy": 0.5, "num_images": 296.0, "correct": "abc"},
    }
    found = read(one, results).test
    assert found is not None
    assert found.recipe == {FIRST: Score(0.4, 296)}
    assert found.winner == {FIRST: Score(0.5, 296, "abc")}


def test_of_an_extended_sweep_the_former_winner_s_test_results_are_not_the_winner_s(driver):
    one = driver()
    one.run()
    results = {
        name: {"accuracy": accuracy, "num_images": 296.0}
        for name, accuracy in (("t0000-s1", 0.4), ("t0001-s1", 0.5), ("t0003-s1", 0.9))
    }
    found = read(one, results).test
    assert found is not None
    assert found.winner == {FIRST: Score(0.5, 296)}


def test_without_a_test_there_is_none(driver):
    one = driver()
    one.run()
    assert read(one).test is None
