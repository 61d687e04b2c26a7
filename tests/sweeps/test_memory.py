import math
from typing import Any

import pytest

from sweeps.memory import Memory
from sweeps.record import TrialRecord
from sweeps.spool import Spool
from tests.sweeps.simulation import LR, STRETCH, Driver, begin, quick_disk, write_sweep


@pytest.fixture
def memory(tmp_path, monkeypatch):
    quick_disk(monkeypatch)

    def memory(text="", **options):
        sweep = write_sweep(tmp_path, f"search: {{trials: 9}}\n{text}", **options)
        return Memory(sweep, begin(tmp_path / "a"))

    return memory


def add(memory: Memory, index: int, curve=None, *, rung=None, **fields: Any) -> TrialRecord:
    """Write a trial down whose schedule (of a rung, if there is one) has had these values."""
    digest = f"{index:064x}"
    overrides = {LR: 1.0 + index} if index else {}
    record = TrialRecord(index, f"t{index:04d}", digest, overrides, rung=rung, **fields)
    folder = memory._folder.create_training(record, rung, "")
    memory._folder.create_training(record, None, "")
    metric = memory._sweep.spec.objective.metric
    for epoch, value in (curve or {}).items():
        Spool(folder).append({"epoch": epoch, "num_epochs": 9, metric: value})
    memory.write(record)
    if rung is None:
        memory.curves[index] |= curve or {}
    for one in fields.get("rungs", []):
        memory.curves[index][one["epochs"]] = one["value"]
    return record


def again(memory: Memory) -> Memory:
    """What another driver reads from the same folder."""
    return Memory(memory._sweep, memory._folder)


def test_what_is_written_is_what_another_driver_reads(memory):
    one = memory()
    add(one, 0, {1: 0.5, 2: 0.6}, status="running", worker_seconds=4.0)
    add(one, 1, rung=3, rungs=[{"epochs": 1, "value": 0.4}], status="pending", worker_seconds=1.5)
    other = again(one)
    assert other.records == one.records
    assert other.curves == one.curves == {0: {1: 0.5, 2: 0.6}, 1: {1: 0.4}}


def test_epochs_and_seconds_of_all_schedules_were_spent(memory):
    one = memory(STRETCH)
    add(one, 0, dict.fromkeys(range(1, 10), 0.5), status="completed", worker_seconds=9.0)
    rungs = [{"epochs": 1, "value": 0.4}, {"epochs": 3, "value": 0.5}]
    add(one, 1, {1: 0.2}, rungs=rungs, status="running", worker_seconds=5.0)
    ledger = again(one).ledger
    assert (ledger.epochs, ledger.worker_seconds) == (9 + 1 + 3 + 1, 14.0)


def test_epochs_of_a_rung_that_was_not_finished_were_spent_too(memory):
    one = memory(STRETCH)
    rungs = [{"epochs": 1, "value": 0.4}]
    add(one, 1, {1: 0.2, 2: 0.3}, rung=3, rungs=rungs, status="pending")
    assert again(one).ledger.epochs == 1 + 2


def test_epochs_of_a_rung_that_was_finished_count_once(memory):
    one = memory(STRETCH)
    rungs = [{"epochs": 3, "value": 0.4}]
    add(one, 1, {1: 0.2, 2: 0.3, 3: 0.4}, rung=3, rungs=rungs, status="paused")
    assert again(one).ledger.epochs == 3


def test_confirmations_were_spent_and_are_no_curve_of_the_trial(memory):
    one = memory()
    add(one, 1, {1: 0.5}, status="completed")
    add(one, 1, {1: 0.9}, copy=1, status="completed", worker_seconds=2.0)
    other = again(one)
    assert (other.ledger.epochs, other.ledger.worker_seconds) == (2, 2.0)
    assert other.curves == {1: {1: 0.5}}
    assert list(other.confirmations) == ["t0001-s1"]
    assert list(other.records) == [1]


@pytest.mark.parametrize("status", ["completed", "paused", "failed", "infeasible", "duplicate"])
def test_a_trial_at_rest_has_ended_at_a_time_that_stays(memory, status):
    one = memory()
    record = one.write(add(one, 1, status="running"), status=status)
    assert record.ended_at is not None
    assert one.write(record, worker_seconds=3.0).ended_at == record.ended_at


@pytest.mark.parametrize("status", ["pending", "running"])
def test_a_trial_that_goes_on_has_not_ended(memory, status):
    one = memory()
    record = one.write(add(one, 1, status="running"), status="paused")
    assert one.write(record, status=status).ended_at is None


# ---- ranking -------------------------------------------------------------------------------------


def test_completed_trials_are_ranked_by_their_last_epoch_the_earlier_of_equals_first(memory):
    one = memory()
    add(one, 0, {8: 0.9, 9: 0.5}, status="completed")
    add(one, 1, {9: 0.7}, status="completed")
    add(one, 2, {9: 0.7}, status="completed")
    add(one, 3, {1: 0.99}, status="stopped_early")
    add(one, 4, {9: math.nan}, status="completed")
    assert [record.index for record in one.completed] == [1, 2, 0]


def test_of_a_loss_the_smallest_is_first(memory):
    one = memory("objective: {metric: val_loss}\n")
    add(one, 0, {9: 0.5}, status="completed")
    add(one, 1, {9: 0.7}, status="completed")
    assert [record.index for record in one.completed] == [0, 1]


@pytest.mark.parametrize(
    ("index", "status", "rung", "expected"),
    [
        (0, "completed", None, False),
        (1, "completed", None, True),
        (1, "running", None, True),
        (1, "pending", None, True),
        (1, "running", 3, False),
        (1, "paused", 3, False),
        (1, "failed", None, False),
        (1, "stopped_early", None, False),
    ],
)
def test_a_candidate_is_another_trial_than_the_recipe_with_its_whole_schedule(
    memory, index, status, rung, expected
):
    one = memory(STRETCH)
    add(one, index, status=status, rung=rung)
    assert one.has_candidate is expected


def test_trials_count_that_a_worker_has_worked_on_or_will(memory):
    one = memory()
    for index, status in enumerate(("completed", "pending", "failed", "stopped_early")):
        add(one, index, status=status)
    add(one, 4, status="infeasible", reason="constraint")
    add(one, 5, status="infeasible", reason="nan", worker_seconds=1.0)
    add(one, 6, status="duplicate", twin="t0001")
    assert one.num_trained == 5


# ---- improvement ---------------------------------------------------------------------------------


def since(memory: Memory, *trials: dict[int, float], **fields: Any) -> int:
    for index, curve in enumerate(trials):
        status = "completed" if 9 in curve else "stopped_early"
        add(memory, index, curve, ended_at=index + 1.0, **{"status": status, **fields})
    return memory.without_improvement


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.5], 0), ([0.5, 0.4], 1), ([0.5, 0.5], 1), ([0.5, 0.4, 0.6], 0), ([0.5, 0.6, 0.4, 0.4], 2)],
)
def test_trials_since_the_best_one_are_counted(memory, values, expected):
    assert since(memory(), *({9: value} for value in values)) == expected


def test_for_a_loss_less_is_better(memory):
    one = memory("objective: {metric: val_loss}\n")
    assert since(one, {9: 0.5}, {9: 0.4}, {9: 0.45}) == 1


def test_nan_is_no_improvement(memory):
    assert since(memory(), {9: 0.5}, {9: math.nan}) == 1


def test_a_stopped_trial_is_compared_with_others_after_as_many_epochs(memory):
    assert since(memory(), {1: 0.2, 9: 0.9}, {1: 0.3}) == 0


def test_the_order_is_that_of_the_ends(memory):
    one = memory()
    add(one, 0, {9: 0.5}, status="completed", ended_at=1.0)
    add(one, 1, {9: 0.4}, status="completed", ended_at=3.0)
    add(one, 2, {9: 0.9}, status="completed", ended_at=2.0)
    assert one.without_improvement == 1


def test_a_rung_s_schedule_is_not_compared_with_the_middle_of_a_longer_one(memory):
    # The recipe is at 0.7 on its way, after one epoch; the first complete schedule of one epoch
    # is nevertheless the best of its kind.
    one = memory(STRETCH)
    add(one, 0, {1: 0.7, 9: 0.9}, status="completed", ended_at=1.0)
    add(one, 1, rungs=[{"epochs": 1, "value": 0.5}], status="paused", ended_at=2.0)
    assert one.without_improvement == 0
    add(one, 2, rungs=[{"epochs": 1, "value": 0.4}], status="paused", ended_at=3.0)
    assert one.without_improvement == 1


def test_of_a_whole_schedule_that_failed_on_its_way_only_the_rungs_are_compared(memory):
    one = memory(STRETCH)
    add(one, 1, rungs=[{"epochs": 1, "value": 0.5}], status="stopped_early", ended_at=1.0)
    rungs = [{"epochs": 1, "value": 0.4}]
    add(one, 2, {1: 0.3, 5: 0.7}, rungs=rungs, status="failed", ended_at=2.0)
    assert one.without_improvement == 1


# ---- what Optuna is told -------------------------------------------------------------------------


def test_a_duplicate_is_told_as_what_its_twin_is_at_its_own_index(memory):
    one = memory()
    add(one, 0, {9: 0.5}, status="completed")
    add(one, 1, {1: 0.3}, status="stopped_early")
    add(one, 2, status="duplicate", twin="t0001", sampler={"trial": {"a": 1}})
    told = one.seen()[2]
    assert (told.record.index, told.record.status) == (2, "stopped_early")
    assert told.record.sampler == {"trial": {"a": 1}}
    assert told.curve == {1: 0.3}


def test_costs_are_told_in_the_order_of_the_objective(memory):
    one = memory("objective: {against: [flops, parameters]}\n")
    add(one, 0, {9: 0.5}, status="completed", costs={"parameters": 3.0, "flops": 7.0})
    add(one, 1, status="running", costs={"parameters": 4.0})
    assert [told.costs for told in one.seen()] == [(7.0, 3.0), (None, 4.0)]


def test_the_twin_of_a_recipe_is_the_trial_that_is_trained(memory):
    one = memory()
    add(one, 1, status="completed")
    digest = one.records[1].digest
    assert one.twin_of("f" * 64) is None
    twin = one.twin_of(digest)
    assert twin is not None
    assert twin.id == "t0001"


def test_the_current_state_of_a_training_is_the_one_written_last(memory):
    one = memory()
    record = add(one, 1, status="pending")
    copy = add(one, 1, copy=2, status="pending")
    one.write(record, status="running")
    one.write(copy, status="failed")
    assert one.current(record).status == "running"
    assert one.current(copy).status == "failed"


def test_the_memory_of_a_sweep_that_ran_is_that_of_the_driver_that_reads_it(memory):
    one = memory(STRETCH)
    driver = Driver(one._sweep, one._folder)
    driver.run()
    other = again(one)
    assert other.curves == driver.memory.curves
    assert other.ledger.epochs == driver.memory.ledger.epochs
    assert other.ledger.worker_seconds == driver.memory.ledger.worker_seconds
    assert driver.memory.ledger.running == {}
