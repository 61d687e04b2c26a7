"""The stopping form beside Optuna's, which reads the paper the same way."""

import random

import optuna
import pytest

from sweeps.rules import SuccessiveHalving


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("maximize", [True, False], ids=["maximize", "minimize"])
def test_successive_halving_stops_whom_optunas_pruner_stops(seed, factor, maximize):
    rng = random.Random(seed)
    pruner = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=2, reduction_factor=factor, min_early_stopping_rate=0
    )
    direction = "maximize" if maximize else "minimize"
    study = optuna.create_study(direction=direction, pruner=pruner)
    rule = SuccessiveHalving(grace_epochs=2, reduction_factor=factor, maximize=maximize)
    theirs, ours = [], []
    for index in range(1, 31):
        trial, value = study.ask(), rng.random()
        for epoch in range(1, 33):
            value += rng.gauss(0, 0.1)
            trial.report(value, epoch)
            pruned, goes_on = trial.should_prune(), rule.observe(index, epoch, value)
            theirs.append((index, epoch, not pruned))
            ours.append((index, epoch, goes_on))
            if pruned or not goes_on:
                break
        study.tell(trial, value)
    assert ours == theirs
    assert {answer for _, _, answer in ours} == {True, False}
