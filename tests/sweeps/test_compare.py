from dataclasses import replace

import pytest

from sweeps.answer.compare import compare_sweeps, compare_trials, difference
from sweeps.storage import TrialNotFound
from tests.sweeps.finished_sweep import TEXT, finished_sweep
from tests.sweeps.simulation import LR, quick_disk

TRIALS = "search: {algorithm: random, trials: 3, seed: 5}\n"


@pytest.fixture
def first(tmp_path, monkeypatch):
    quick_disk(monkeypatch)
    return finished_sweep(tmp_path, text=TRIALS)


def test_two_trials_differ_in_what_varies_and_in_what_came_of_it(first):
    _, folder = first
    record = folder.read_records()[1]
    found = compare_trials((*first, "t0000"), (*first, "t0001"))
    assert found.keys == {LR: (2.0, record.overrides[LR])}
    values = [folder.history(one)[-1]["val_accuracy"] for one in folder.read_records()[:2]]
    assert found.results == {"value.val_accuracy": tuple(values)}  # costs and epochs are the same


def test_a_trial_does_not_differ_from_itself(first):
    found = compare_trials((*first, "t0001"), (*first, "t0001"))
    assert (found.keys, found.results) == ({}, {})


def test_values_that_are_nan_do_not_differ(first):
    _, folder = first
    for index in (1, 2):
        record = folder.read_records()[index]
        folder.write_record(replace(record, costs={"flops": float("nan")}, worker_seconds=7.0))
    found = compare_trials((*first, "t0001"), (*first, "t0002"))
    assert list(found.results) == ["value.val_accuracy"]


def test_what_only_one_trial_has_is_none_in_the_other(first):
    _, folder = first
    record = folder.read_records()[2]
    overrides = {**record.overrides, "methods.label_smoothing": {"smoothing": 0.25}}
    folder.write_record(replace(record, overrides=overrides))
    found = compare_trials((*first, "t0000"), (*first, "t0002"))
    assert found.keys["methods.label_smoothing.smoothing"] == (None, 0.25)


def test_trainings_with_fresh_seeds_are_compared_too(tmp_path, monkeypatch):
    quick_disk(monkeypatch)
    sweep = finished_sweep(tmp_path, text=TEXT)
    seeds = [record.overrides["seed"] for record in sweep[1].read_confirmations()[:2]]
    found = compare_trials((*sweep, "t0000-s1"), (*sweep, "t0000-s2"))
    assert found.keys == {"seed": tuple(seeds)}
    assert found.results == {}


def test_values_of_different_metrics_are_not_set_against_each_other(first, tmp_path):
    other = finished_sweep(tmp_path, "loss", text=f"objective: {{metric: val_loss}}\n{TRIALS}")
    found = compare_trials((*first, "t0000"), (*other, "t0000"))
    assert found.keys == {}
    assert found.results["value.val_accuracy"][1] is None
    assert found.results["value.val_loss"][0] is None
    assert [one["difference"] for one in found.to_dict()["results"]] == [None] * len(found.results)


def test_a_trial_that_is_not_there_is_answered_with_the_nearest(first):
    with pytest.raises(TrialNotFound, match="s has no trial 't000'; did you mean t000"):
        compare_trials((*first, "t0000"), (*first, "t000"))


def test_two_sweeps_differ_in_their_files_and_their_results(first, tmp_path):
    longer = "search: {algorithm: random, trials: 5, seed: 5}\n"
    other = finished_sweep(tmp_path, "longer", text=longer)
    found = compare_sweeps(first, other)
    assert found.names == ("s", "longer")
    assert found.keys == {"search.trials": (3, 5)}
    assert found.results["trials"] == found.results["trials_ended"] == (3, 5)
    # 9 epochs of a second on one CPU each.
    assert found.results["cost.CPU-hours"] == pytest.approx((3 * 9 / 3600, 5 * 9 / 3600))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(1, 3.5, 2.5), (0.5, None, None), ("a", "b", None), (True, False, None), (None, 1, None)],
)
def test_only_numbers_have_a_difference(a, b, expected):
    assert difference(a, b) == expected
