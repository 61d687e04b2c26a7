"""Trials as they are seen when the next one is suggested, and what Optuna is told of them."""

from typing import Any

import optuna

from sweeps.record import TrialRecord
from sweeps.study import Seen, Suggester
from tests.sweeps.simulation import LR


def seen(index: int, curve=None, overrides=None, costs=(), **fields: Any) -> Seen:
    overrides = {LR: 1.0} if overrides is None else overrides
    record = TrialRecord(index, f"t{index:04d}", "0" * 64, overrides, **fields)
    return Seen(record, curve or {}, costs)


def told(sweep, *trials: Seen) -> list[optuna.trial.FrozenTrial]:
    return Suggester(sweep).study(9, trials).trials
