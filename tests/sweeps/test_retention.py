import time
from dataclasses import replace

import pytest

from sweeps.memory import Memory
from sweeps.record import TrialRecord, TrialStatus
from sweeps.retention import prune
from sweeps.spool import Spool
from tests.sweeps.simulation import begin, write_sweep

# Trial -> status and accuracy; the recipe is the worst.
TRIALS: list[tuple[TrialStatus, float]] = [
    ("completed", 0.1),
    ("completed", 0.5),
    ("completed", 0.9),
    ("completed", 0.7),
    ("stopped_early", 0.8),
    ("failed", 0.2),
    ("running", 0.2),
    ("paused", 0.2),
    ("pending", 0.2),
]


@pytest.fixture
def kept(tmp_path):
    """The trials that still have checkpoints after pruning a sweep with these settings."""

    def kept(settings, *, is_over=True, costs=(), ended_at=0.0):
        sweep = write_sweep(tmp_path, settings, stopping="")
        folder = begin(tmp_path / "s")
        for index, (status, accuracy) in enumerate(TRIALS):
            record = TrialRecord(index, f"t{index:04d}", f"{index:064d}", {}, status=status)
            if costs:
                record = replace(record, costs={"parameters": costs[index]})
            path = folder.create_training(record, None, "")
            folder.write_record(replace(record, ended_at=ended_at))
            Spool(path).append({"epoch": 9, "val_accuracy": accuracy})
            (path / "checkpoints/ep0009").mkdir(parents=True)
            (path / "checkpoints/ep0009/model.pt").write_bytes(bytes(1000))
        assert folder.checkpoint_bytes() == 1000 * len(TRIALS)
        prune(sweep, folder, Memory(sweep, folder), is_over=is_over)
        found = [path.parts[-3][:5] for path in folder.trials_path.glob("*/checkpoints/ep0009")]
        assert folder.checkpoint_bytes() == 1000 * len(found)
        return {int(trial[1:]) for trial in found}

    return kept


TRIALS_GIVEN = "search: {algorithm: random, trials: 9}\n"
KEEP_ONE = f"{TRIALS_GIVEN}storage: {{keep_best: 1}}\n"


def test_every_trial_keeps_its_checkpoints_where_no_number_is_given(kept):
    assert kept(f"{TRIALS_GIVEN}storage: {{keep_best: null}}\n") == set(range(len(TRIALS)))


def test_the_best_the_recipe_and_whatever_may_go_on_keep_theirs(kept):
    assert kept(KEEP_ONE) == {0, 2, 5, 6, 7, 8}


def test_as_many_stay_as_are_confirmed(kept):
    assert kept(KEEP_ONE + "confirm: {top_k: 2, seeds: 2}\n") == {0, 2, 3, 5, 6, 7, 8}


def test_the_pareto_set_stays(kept):
    # Of the completed ones trial 1 is the smallest and trial 2 the best; 3 is worse than 2 in both.
    text = KEEP_ONE + "objective: {metric: val_accuracy, against: [parameters]}\n"
    costs = [9, 1, 5, 6, 9, 9, 9, 9, 9]
    assert kept(text, costs=costs) == {0, 1, 2, 5, 6, 7, 8}


def test_a_trial_that_was_stopped_just_now_may_still_be_writing(kept):
    assert kept(KEEP_ONE, is_over=False, ended_at=time.time()) == {0, 2, 4, 5, 6, 7, 8}


def test_a_population_takes_weights_over_until_its_end(kept):
    population = (
        "early_stopping: {pbt: {perturbation_interval: 1ep}}\n"
        "resources: {max_concurrent_trials: 9}\n"
    )
    assert kept(KEEP_ONE + population, is_over=False) == set(range(len(TRIALS)))
