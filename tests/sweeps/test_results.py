import math
from dataclasses import replace
from typing import Any

import pytest

from sweeps.answer.results import best_epoch, read_result, varied_values
from sweeps.record import TrialRecord
from sweeps.sections import ObjectiveConfig
from sweeps.spool import Spool
from tests.sweeps.simulation import LR, STRETCH, Driver, begin, quick_disk, write_sweep


@pytest.fixture
def result(tmp_path, monkeypatch):
    """The result of a sweep whose trials have had these curves."""
    quick_disk(monkeypatch)

    def result(*trials: tuple[str, list[float], dict[str, Any]], text="", **options):
        sweep = write_sweep(tmp_path, f"search: {{trials: 9}}\n{text}", **options)
        folder = begin(tmp_path / "a")
        metric = sweep.spec.objective.metric
        for index, (status, curve, fields) in enumerate(trials):
            overrides = {LR: 1.0 + index} if index else {}
            record = TrialRecord(index, f"t{index:04d}", f"{index:064x}", overrides)
            record = replace(record, status=status, **fields)
            folder.create_training(record, None, "")
            folder.write_record(record)
            spool = Spool(folder.trial_folder(record))
            for epoch, value in enumerate(curve, start=1):
                spool.append({"epoch": epoch, "num_epochs": 9, metric: value, "note": "x"})
        return read_result(folder, sweep)

    return result


def done(last: float, **fields: Any) -> tuple[str, list[float], dict[str, Any]]:
    """A trial that has completed its 9 epochs."""
    return "completed", [0.5] * 8 + [last], fields


# ---- ranks ---------------------------------------------------------------------------------------


def test_completed_trials_are_ranked_by_their_last_epoch(result):
    found = result(done(0.6), done(0.8), ("completed", [0.9] * 8 + [0.7], {}))
    assert [row.rank for row in found.rows] == [3, 1, 2]
    assert found.best is found.rows[1]
    assert found.baseline is found.rows[0]


def test_of_a_loss_the_smallest_has_rank_1(result):
    found = result(done(0.6), done(0.8), text="objective: {metric: val_loss}\n")
    assert [row.rank for row in found.rows] == [1, 2]


def test_of_equals_the_earlier_trial_has_the_better_rank(result):
    assert [row.rank for row in result(done(0.6), done(0.6)).rows] == [1, 2]


@pytest.mark.parametrize("status", ["stopped_early", "running", "failed", "infeasible", "paused"])
def test_only_completed_trials_have_a_rank(result, status):
    assert result((status, [0.9], {})).rows[0].rank is None


def test_a_trial_that_ends_with_nan_has_no_rank(result):
    found = result(done(0.6), done(math.nan))
    assert [row.rank for row in found.rows] == [1, None]
    assert found.best is found.rows[0]


def test_a_recipe_that_failed_is_no_baseline(result):
    found = result(("failed", [], {}), done(0.6))
    assert found.baseline is None
    assert found.to_dict()["gain_over_recipe"] is None


def test_the_gain_is_the_best_value_less_the_recipe_s(result):
    found = result(done(0.625), done(0.875)).to_dict()
    assert (found["best"], found["winner"], found["gain_over_recipe"]) == ("t0001", "t0001", 0.25)


# ---- rows ----------------------------------------------------------------------------------------


def test_a_duplicate_shows_its_twin_s_value_and_costs_nothing(result):
    found = result(done(0.6, worker_seconds=9.0), ("duplicate", [], {"twin": "t0000"}))
    row = found.rows[1]
    assert (row.value, row.epochs, row.rank, row.epochs_trained) == (0.6, 9, None, 0)
    assert found.cost == 9 / 3600


def test_a_trial_at_a_rung_shows_the_rung_s_value_and_what_all_rungs_cost(result):
    rungs = [{"epochs": 1, "value": 0.4}, {"epochs": 3, "value": 0.5}]
    (row,) = result(("stopped_early", [], {"rungs": rungs}), text=STRETCH).rows
    assert (row.value, row.epochs, row.num_epochs, row.epochs_trained) == (0.5, 3, 9, 4)


def test_a_trial_in_its_whole_schedule_shows_that_and_what_all_schedules_cost(result):
    rungs = [{"epochs": 1, "value": 0.4}, {"epochs": 3, "value": 0.5}]
    (row,) = result(("running", [0.1, 0.2], {"rungs": rungs}), text=STRETCH).rows
    assert (row.value, row.epochs, row.num_epochs, row.epochs_trained) == (0.2, 2, 9, 6)


def test_a_trial_before_its_first_epoch_has_no_value(result):
    (row,) = result(("pending", [], {})).rows
    assert (row.value, row.epochs, row.num_epochs) == (None, 0, 9)


def test_of_metrics_only_numbers_are_told(result):
    found = result(done(0.6)).rows[0].to_dict()["metrics"]
    assert found == {"epoch": 9, "num_epochs": 9, "val_accuracy": 0.6}


def test_trials_are_counted_by_status(result):
    found = result(done(0.6), done(0.7), ("failed", [], {}))
    assert [found.count(one) for one in ("completed", "failed", "paused")] == [2, 1, 0]


# ---- costs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resources", "unit", "hours"),
    [
        ("{}", "CPU-hours", 3.0),
        ("{cpus_per_worker: 2}", "CPU-hours", 6.0),
        ("{gpus_per_worker: 0.5, cpus_per_worker: 2}", "GPU-hours", 1.5),
    ],
)
def test_cost_is_worker_time_times_what_a_worker_has(result, resources, unit, hours):
    found = result(
        done(0.6, worker_seconds=3600.0), ("failed", [], {"worker_seconds": 7200.0}),
        text=f"resources: {resources}\n",
    )  # fmt: skip
    assert (found.cost_unit, found.cost) == (unit, pytest.approx(hours))


def test_the_confirmation_s_cost_is_part_of_the_whole(tmp_path, monkeypatch):
    quick_disk(monkeypatch)
    text = "search: {algorithm: random, trials: 2}\nconfirm: {top_k: 1, seeds: 2}\n"
    sweep = write_sweep(tmp_path, text)
    driver = Driver(sweep, begin(tmp_path / "a"))
    driver.run()
    found = read_result(driver.folder, sweep)
    # Two trials and four confirmations of 9 epochs, one second each.
    assert found.cost == pytest.approx(54 / 3600)
    assert found.confirm_cost == pytest.approx(36 / 3600)
    assert len(found.confirmations) == 4
    assert found.verdict is not None
    assert found.winner is not None
    assert found.winner.record.id == found.verdict.winner.trial_id


# ---- several objectives --------------------------------------------------------------------------

AGAINST = "objective: {against: [parameters]}\n"


def test_the_pareto_set_are_the_trials_that_no_other_beats_in_everything(result):
    found = result(
        done(0.6, costs={"parameters": 100.0}),
        done(0.8, costs={"parameters": 300.0}),
        done(0.7, costs={"parameters": 400.0}),  # larger than the one before, and worse
        done(0.5, costs={"parameters": 50.0}),
        ("stopped_early", [0.99], {"costs": {"parameters": 1.0}}),
        done(0.9),  # its cost is not known
        text=AGAINST,
    )
    assert found.to_dict()["pareto"] == ["t0000", "t0001", "t0003"]


def test_of_a_loss_the_pareto_set_is_small_in_both(result):
    found = result(
        done(0.6, costs={"parameters": 100.0}),
        done(0.8, costs={"parameters": 300.0}),
        text="objective: {metric: val_loss, against: [parameters]}\n",
    )
    assert [row.record.index for row in found.pareto] == [0]


def test_with_one_objective_there_is_no_pareto_set(result):
    assert result(done(0.6, costs={"parameters": 100.0})).pareto == []


# ---- details -------------------------------------------------------------------------------------


def test_what_varied_is_read_from_the_trial_s_own_recipe(tmp_path):
    floor = "lr_schedulers.cosine_decay.eta_min"
    space = f"space:\n  {LR}: {{uniform: [1, 3]}}\n  {floor}: {{uniform: [0.01, 0.1]}}\n"
    sweep = write_sweep(tmp_path, "search: {trials: 3}\n", space=space)
    assert varied_values(sweep, {LR: 1.5, floor: 0.05}) == {LR: 1.5, floor: 0.05}
    assert varied_values(sweep, {}) == {LR: 2.0, floor: 0.0}
    variant = {"lr_schedulers": {"constant": {}}}
    assert varied_values(sweep, variant) == {LR: 2.0, floor: None}


def test_of_a_varied_sub_tree_only_what_is_not_at_its_default_is_told(tmp_path):
    tree = {"linear_warmup": "1ep", "cosine_decay": {"T_max": "8ep"}}
    space = f"space:\n  lr_schedulers: {{choice: [{tree}]}}\n".replace("'", "")
    sweep = write_sweep(
        tmp_path, "search: {trials: 3}\n", space=f"{space}  seed: {{int: [1, 5]}}\n"
    )
    assert varied_values(sweep, {"lr_schedulers": tree})["lr_schedulers"] == tree


@pytest.mark.parametrize(
    ("values", "metric", "expected"),
    [
        ([0.1, 0.3, 0.2], "val_accuracy", 2),
        ([0.1, 0.3, 0.2], "val_loss", 1),
        ([0.3, 0.3, 0.2], "val_accuracy", 2),
        ([math.nan, 0.1, math.nan], "val_accuracy", 2),
        ([math.nan, math.nan], "val_loss", 2),
    ],
)
def test_the_best_epoch_is_the_later_of_equals_and_never_nan(values, metric, expected):
    history = [{"epoch": epoch, metric: value} for epoch, value in enumerate(values, start=1)]
    objective = ObjectiveConfig.model_validate({"metric": metric})
    assert best_epoch(history, objective) == expected
