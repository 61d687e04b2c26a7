"""Optuna's view of a sweep's trials: their states, values and constraints."""

import math

import pytest

from sweeps.study import Suggester
from tests.sweeps.seen_trials import seen, told
from tests.sweeps.simulation import LR


@pytest.mark.parametrize("status", ["stopped_early", "paused"])
def test_a_trial_stopped_at_a_rung_is_pruned_with_its_value_there(searching, status):
    (trial,) = told(searching(), seen(1, {1: 0.3, 3: 0.5}, status=status))
    assert trial.state.name == "PRUNED"
    assert trial.intermediate_values == {1: 0.3, 3: 0.5}
    assert trial.params == {LR: 1.0}


def test_a_completed_trial_is_complete_with_the_value_of_its_last_epoch(searching):
    (trial,) = told(searching(), seen(1, {8: 0.9, 9: 0.8}, status="completed"))
    assert (trial.state.name, trial.values) == ("COMPLETE", [0.8])


@pytest.mark.parametrize("status", ["pending", "running"])
def test_a_trial_that_was_begun_is_running(searching, status):
    (trial,) = told(searching(), seen(1, status=status))
    assert trial.state.name == "RUNNING"


def test_a_failed_trial_is_failed_and_has_no_value(searching):
    (trial,) = told(searching(), seen(1, {1: 0.5}, status="failed"))
    assert (trial.state.name, trial.values) == ("FAIL", None)


def test_a_trial_that_ends_with_nan_is_failed(searching):
    (trial,) = told(searching(), seen(1, {8: 0.5, 9: math.nan}, status="completed"))
    assert (trial.state.name, trial.values) == ("FAIL", None)


def test_a_trial_that_diverged_is_infeasible_with_the_worst_value_of_all(searching):
    first, second = told(
        searching(),
        seen(1, {9: 0.4}, status="completed"),
        seen(2, status="infeasible", reason="nan"),
    )
    assert (second.state.name, second.values) == ("COMPLETE", [0.4])
    assert second.constraints == {"trains": 1.0}
    assert first.constraints == {"trains": 0.0}


def test_of_a_loss_the_worst_is_the_largest(searching):
    what = searching(more="objective: {metric: val_loss}\n")
    _, _, third = told(
        what,
        seen(1, {9: 0.4}, status="completed"),
        seen(2, {9: 0.7}, status="completed"),
        seen(3, status="infeasible", reason="oom"),
    )
    assert third.values == [0.7]


def test_a_trial_that_violates_a_constraint_is_told_by_how_much(searching):
    what = searching(more="constraints: [parameters <= 1M]\n")
    good, bad = told(
        what,
        seen(1, {9: 0.4}, status="completed", violations={"parameters <= 1M": -0.5}),
        seen(2, status="infeasible", reason="constraint", violations={"parameters <= 1M": 0.25}),
    )
    assert bad.constraints == {"parameters <= 1M": 0.25, "trains": 0.0}
    assert good.constraints == {"parameters <= 1M": -0.5, "trains": 0.0}


def test_without_constraints_and_infeasible_trials_optuna_hears_of_none(searching):
    (trial,) = told(searching(), seen(1, {9: 0.4}, status="completed"))
    assert not trial.constraints


def test_trials_outside_the_space_and_the_recipe_are_not_told(searching):
    trials = told(
        searching(),
        seen(0, {9: 0.5}, overrides={}, status="completed"),
        seen(1, {9: 0.5}, overrides={LR: 100.0}, status="completed"),
        seen(2, {9: 0.5}, overrides={LR: 1.0, "seed": 7}, status="completed"),
        seen(3, {9: 0.5}, overrides={LR: 0.5}, status="completed"),
    )
    assert [trial.params for trial in trials] == [{LR: 0.5}]


@pytest.mark.parametrize(
    ("metric", "direction"), [("val_accuracy", "MAXIMIZE"), ("val_loss", "MINIMIZE")]
)
def test_optuna_knows_the_direction_of_the_objective(searching, metric, direction):
    study = Suggester(searching(more=f"objective: {{metric: {metric}}}\n")).study(1, [])
    assert study.direction.name == direction


# ---- several objectives --------------------------------------------------------------------------

AGAINST = "objective: {against: [parameters, training_seconds]}\n"


def test_with_several_objectives_optuna_gets_all_values_and_no_rungs(searching):
    suggester = Suggester(searching("nsga2", AGAINST))
    study = suggester.study(
        9,
        [
            seen(1, {9: 0.8}, status="completed", costs=(1000.0, 60.0)),
            seen(2, {1: 0.3}, status="stopped_early", costs=(500.0, None)),
        ],
    )
    assert [one.name for one in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    complete, pruned = study.trials
    assert complete.values == [0.8, 1000.0, 60.0]
    assert (pruned.state.name, pruned.intermediate_values) == ("PRUNED", {})


def test_with_several_objectives_an_infeasible_trial_has_the_worst_of_each(searching):
    *_, bad = told(
        searching("nsga2", AGAINST),
        seen(1, {9: 0.8}, status="completed", costs=(1000.0, 60.0)),
        seen(2, {9: 0.6}, status="completed", costs=(400.0, 90.0)),
        seen(3, status="infeasible", reason="nan", costs=(100.0, None)),
    )
    assert bad.values == [0.6, 1000.0, 90.0]


def test_a_trial_without_one_of_its_costs_is_not_complete(searching):
    (trial,) = told(
        searching("nsga2", AGAINST), seen(1, {9: 0.8}, status="completed", costs=(1000.0, None))
    )
    assert trial.state.name == "FAIL"
