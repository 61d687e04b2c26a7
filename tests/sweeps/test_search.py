"""The searcher without Ray: asked and told directly, its memory in a folder."""

import math
from dataclasses import replace

import pytest

from sweeps.results import read_result
from sweeps.search import SweepSearch
from sweeps.spec import load_sweep
from sweeps.spool import Spool
from sweeps.storage import SweepFolder, SweepState
from tests.sweeps.sweep_file import HEAD, RECIPE

SPACE = """\
  model.name: {choice: [resnet18, resnet34]}
  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.2, 8]}
"""


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "sweep.yaml").write_text(HEAD + SPACE)
    return load_sweep(tmp_path / "sweep.yaml", ["search.seed=3", "search.trials=16"])


def run_one(sweep, folder: SweepFolder, search: SweepSearch, status: str = "completed"):
    """Suggest a trial and end it: its accuracy is higher the nearer its rate is to 1."""
    config = search.suggest("any")
    (record,) = [r for r in folder.read_records() if r.index == config["index"]]
    rate = record.overrides.get("optimizer.decoupled_sgdw.learning_rate", 2.0)
    Spool(folder.trial_folder(record)).append({"epoch": 1, "val_accuracy": 1 / (1 + abs(rate - 1))})
    record = replace(record, status=status)
    folder.write_record(record)
    search.tell(record, folder.history(record))
    return record.overrides


def test_trial_0_is_the_recipe_unchanged(sweep, tmp_path):
    folder = SweepFolder(tmp_path / "s")
    assert run_one(sweep, folder, SweepSearch(sweep, folder)) == {}
    assert folder.read_records()[0].digest == sweep.recipe.digest()


@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_the_same_seed_suggests_the_same_trials_whether_or_not_the_driver_was_restarted(
    sweep, tmp_path, algorithm
):
    search_config = sweep.spec.search.model_copy(update={"algorithm": algorithm})
    spec = sweep.spec.model_copy(update={"search": search_config})
    sweep = replace(sweep, spec=spec)
    one, other = SweepFolder(tmp_path / "one"), SweepFolder(tmp_path / "other")
    search = SweepSearch(sweep, one)
    undisturbed = [run_one(sweep, one, search) for _ in range(16)]
    # TPE draws at random for ten trials; six more rest on what it was told.
    restarted = [run_one(sweep, other, SweepSearch(sweep, other)) for _ in range(16)]
    assert restarted == undisturbed
    assert len({str(overrides) for overrides in undisturbed}) == 16


def test_another_seed_suggests_other_trials(sweep, tmp_path):
    def first(seed: int):
        spec = sweep.spec.model_copy(
            update={"search": sweep.spec.search.model_copy(update={"seed": seed})}
        )
        folder = SweepFolder(tmp_path / str(seed))
        search = SweepSearch(replace(sweep, spec=spec), folder)
        run_one(sweep, folder, search)
        return run_one(sweep, folder, search)

    assert first(1) != first(2)


def test_a_stopped_trial_reaches_optuna_as_pruned_and_a_failed_one_as_failed(sweep, tmp_path):
    folder = SweepFolder(tmp_path / "s")
    search = SweepSearch(sweep, folder)
    for status in ("completed", "stopped_early", "failed", "completed"):
        run_one(sweep, folder, search, status)
    states = [trial.state.name for trial in search._study.trials]
    assert states == ["PRUNED", "FAIL", "COMPLETE"]  # trial 0 lies outside the space's ranges


def test_a_trial_that_ends_with_nan_is_neither_ranked_nor_told_to_optuna_as_complete(
    sweep, tmp_path
):
    folder = SweepFolder(tmp_path / "s")
    folder.path.mkdir()
    folder.write_state(SweepState(id="1"))
    search = SweepSearch(sweep, folder)
    run_one(sweep, folder, search)
    search.suggest("any")
    record = folder.read_records()[1]
    for epoch, value in ((1, 0.9), (2, math.nan)):
        point = {"epoch": epoch, "num_epochs": 2, "val_accuracy": value}
        Spool(folder.trial_folder(record)).append(point)
    record = replace(record, status="completed")
    folder.write_record(record)
    search.tell(record, folder.history(record))
    assert [row.rank for row in read_result(folder, sweep).rows] == [1, None]
    assert [trial.state.name for trial in search._study.trials] == ["FAIL"]


def test_an_interrupted_trial_is_suggested_again_before_any_new_one(sweep, tmp_path):
    folder = SweepFolder(tmp_path / "s")
    search = SweepSearch(sweep, folder)
    run_one(sweep, folder, search)
    interrupted = search.suggest("b")
    again = SweepSearch(sweep, folder)
    assert again.num_left == 15
    assert again.suggest("c") == interrupted
    assert again.suggest("d")["index"] == 2


def test_the_search_ends_after_its_trials(sweep, tmp_path):
    folder = SweepFolder(tmp_path / "s")
    search = SweepSearch(sweep, folder)
    for _ in range(16):
        run_one(sweep, folder, search)
    assert search.num_left == 0
    assert search.suggest("z") == SweepSearch.FINISHED
