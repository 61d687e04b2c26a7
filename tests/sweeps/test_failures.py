from dataclasses import replace

import pytest

from sweeps.failures import Consequence, all_fail_alike, consequence, last_line
from sweeps.record import TrialRecord
from tests.sweeps.simulation import RECIPE, write_sweep

OOM = {"reason": "oom", "error": "Traceback\nOutOfMemoryError: 2 GiB"}


@pytest.fixture
def recipe(tmp_path):
    def recipe(more=""):
        return write_sweep(tmp_path, "search: {trials: 2}\n", recipe=RECIPE + more).recipe

    return recipe


def record(index=1, **fields) -> TrialRecord:
    return TrialRecord(index, f"t{index:04d}", "0" * 64, {}, **fields)


def test_out_of_memory_with_automatic_micro_batches_tries_half_as_many_images(recipe):
    found = consequence(
        record(), recipe("micro_batch_size: auto\n"), {**OOM, "micro_batch_size": 48}
    )
    assert found == Consequence({"micro_batch_limit": 24}, again=True)


@pytest.mark.parametrize(
    ("micro", "in_use"), [("auto", 1), ("auto", None), (32, 32), ("null", None)]
)
def test_out_of_memory_is_infeasible_where_nothing_can_be_halved(recipe, micro, in_use):
    failure = OOM if in_use is None else {**OOM, "micro_batch_size": in_use}
    found = consequence(record(), recipe(f"micro_batch_size: {micro}\n"), failure)
    assert found == Consequence({"status": "infeasible", **OOM})


def test_data_that_only_this_trial_has_stop_no_sweep(recipe):
    failure = {"reason": "data", "error": "FileNotFoundError: x"}
    own = replace(record(), overrides={"data.image_folder.path": "x"})
    assert consequence(own, recipe(), failure) == Consequence({"status": "failed", **failure})


def test_a_loss_that_is_not_finite_makes_the_point_infeasible(recipe):
    failure = {"reason": "nan", "error": "E"}
    assert consequence(record(), recipe(), failure) == Consequence(
        {"status": "infeasible", **failure}
    )


@pytest.mark.parametrize("reason", ["data", "storage"])
def test_what_would_fail_every_trial_stops_the_sweep_and_says_which_file(recipe, reason):
    failure = {"reason": reason, "error": "Traceback\nOSError: a/b.jpg is no image\n"}
    found = consequence(record(3), recipe(), failure)
    assert found.stop == f"t0003 failed ({reason}): OSError: a/b.jpg is no image"
    assert found.changes["status"] == "failed"


@pytest.mark.parametrize("reason", ["error", "worker"])
def test_any_other_failure_ends_the_trial_alone(recipe, reason):
    failure = {"reason": reason, "error": "E"}
    assert consequence(record(), recipe(), failure) == Consequence({"status": "failed", **failure})


def failed(
    index: int, error: str, *, status="failed", reason="error", ended_at=None
) -> TrialRecord:
    return record(
        index, status=status, reason=reason, error=error, worker_seconds=1.0,
        ended_at=index + 1.0 if ended_at is None else ended_at,
    )  # fmt: skip


def test_three_first_failures_of_one_kind_say_so_with_the_first_one_s_last_line():
    records = [failed(i, f"Traceback\nValueError: {i} is odd") for i in range(3)]
    assert all_fail_alike(records) == ("the first 3 trials all failed alike: ValueError: 0 is odd")


def test_two_failures_are_no_reason_to_stop():
    assert all_fail_alike([failed(i, "ValueError: no") for i in range(2)]) is None


def test_failures_of_different_kinds_are_no_reason_to_stop():
    errors = ["ValueError: no", "ValueError: no", "TypeError: no"]
    assert all_fail_alike([failed(i, error) for i, error in enumerate(errors)]) is None


def test_failures_with_different_reasons_are_no_reason_to_stop():
    records = [failed(i, "E: no") for i in range(2)] + [failed(2, "E: no", reason="nan")]
    assert all_fail_alike(records) is None


def test_infeasible_trials_that_were_trained_count_as_failures():
    records = [failed(i, "E: no", status="infeasible", reason="nan") for i in range(3)]
    assert all_fail_alike(records) is not None


def test_points_that_were_refused_without_training_do_not_count():
    refused = record(1, status="infeasible", reason="constraint", error="E: no", ended_at=0.5)
    records = [refused, *(failed(i, "E: no") for i in (0, 2))]
    assert all_fail_alike(records) is None
    assert all_fail_alike([*records, failed(3, "E: no")]) is not None


def test_one_success_among_the_first_three_means_it_is_the_trials_fault():
    good = record(1, status="completed", worker_seconds=1.0, ended_at=1.5)
    records = [failed(0, "E: no"), good, *(failed(i, "E: no") for i in range(2, 6))]
    assert all_fail_alike(records) is None


def test_while_the_recipe_itself_may_come_through_nothing_is_stopped():
    assert all_fail_alike([failed(i, "E: no", reason="nan") for i in (1, 2, 3)]) is None


def test_later_failures_are_not_judged_again():
    # As after a resume: whoever went on has seen the first three.
    assert all_fail_alike([failed(i, "E: no") for i in range(4)]) is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [("Traceback\n  File\nE: no\n\n", "E: no"), ("", "no message"), (None, "no message")],
)
def test_the_last_line_of_a_traceback_is_what_it_says(error, expected):
    assert last_line(error) == expected
