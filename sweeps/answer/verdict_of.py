"""The verdict on a sweep, made from what lies in its folder."""

import math
from dataclasses import replace
from typing import Any

from sweeps.answer.confirmation import Candidate, Confirmation, choose
from sweeps.answer.final_test import FinalTest, Score
from sweeps.answer.verdict import Verdict, judge
from sweeps.record import TrialRecord
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder


def read_confirmation(
    folder: SweepFolder, sweep: Sweep, test: dict[str, Any]
) -> Confirmation | None:
    """What the trainings with fresh seeds have measured so far.

    Args:
        folder: Of the sweep.
        sweep: The sweep.
        test: What was measured on the test split, by training: ``t0007-s1``.

    Returns:
        None unless the recipe and another trial have ended a training each.
    """
    records = [record for record in folder.read_confirmations() if record.ended]
    trials = {record.index: record for record in folder.read_records()}
    by_trial: dict[int, list[TrialRecord]] = {}
    for record in records:
        by_trial.setdefault(record.index, []).append(record)
    if 0 not in by_trial or len(by_trial) < 2:
        return None
    objective = sweep.spec.objective
    sign = -1 if objective.mode == "max" else 1

    def rank(item: tuple[int, Any]) -> tuple[float, int]:
        return sign * float(folder.history(trials[item[0]])[-1][objective.metric]), item[0]

    candidates = {
        index: Candidate(
            f"t{index:04d}",
            trials[index].name,
            _values(folder, ended, objective.metric),
            _mean_seconds(ended),
        )
        for index, ended in sorted(by_trial.items(), key=rank)
    }
    recipe = candidates.pop(0)
    data = sweep.recipe.data
    confirmation = Confirmation(
        list(candidates.values()),
        recipe,
        maximize=objective.mode == "max",
        metric=objective.metric,
        num_validation_images=data.num_validation if data is not None else None,
    )
    # A sweep that was extended may have tested another winner before.
    tested = {choose(confirmation).trial_id, recipe.trial_id}
    records = [record for record in records if f"t{record.index:04d}" in tested]
    return replace(confirmation, test=_test(records, test))


def read_verdict(folder: SweepFolder, sweep: Sweep, test: dict[str, Any]) -> Verdict | None:
    """The verdict so far; None without a confirmation."""
    confirmation = read_confirmation(folder, sweep, test)
    return None if confirmation is None else judge(confirmation)


def _values(folder: SweepFolder, records: list[TrialRecord], metric: str) -> dict[int, float]:
    """Seed -> objective; one that diverged is NaN, one that failed otherwise is left out."""
    found = {}
    for record in records:
        history = folder.history(record)
        if record.status == "completed" and history:
            found[record.overrides["seed"]] = float(history[-1][metric])
        elif record.reason == "nan":
            found[record.overrides["seed"]] = math.nan
    return found


def _mean_seconds(records: list[TrialRecord]) -> float | None:
    seconds = [record.worker_seconds for record in records if record.status == "completed"]
    return sum(seconds) / len(seconds) if seconds else None


def _test(records: list[TrialRecord], test: dict[str, Any]) -> FinalTest | None:
    scores: dict[bool, dict[int, Score]] = {True: {}, False: {}}
    for record in records:
        if record.id in test:
            values = test[record.id]
            scores[record.index == 0][record.overrides["seed"]] = Score(
                values["accuracy"], round(values["num_images"]), values.get("correct")
            )
    if not any(scores.values()):
        return None
    return FinalTest(winner=scores[False], recipe=scores[True])
