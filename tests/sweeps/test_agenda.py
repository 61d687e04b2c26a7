"""What comes next, and what becomes of it."""

import math

import pytest

from resnet_core import Recipe
from resnet_core.duration import Duration
from sweeps.assignment import Assignment, stretched
from sweeps.sweep_checks import whole_epochs
from tests.sweeps.simulation import (
    RANDOM,
    RECIPE,
    STRETCH,
    TRUNCATE,
    Driver,
    begin,
)

# ---- order ---------------------------------------------------------------------------------------


def test_trial_0_is_the_recipe_unchanged_and_trains_its_whole_schedule(sweep, tmp_path):
    driver = Driver(sweep(RANDOM + STRETCH), begin(tmp_path / "a"))
    first = driver.start()
    assert (first.key, first.rung, first.record.overrides) == ("t0000@whole", None, {})
    assert Recipe.from_yaml(first.folder / "recipe.yaml") == driver.sweep.recipe


def test_without_a_rule_every_trial_trains_the_whole_schedule_in_order(sweep, tmp_path):
    driver = Driver(sweep("search: {algorithm: random, trials: 3}\n"), begin(tmp_path / "a"))
    assert driver.run() == ["t0000@whole", "t0001@whole", "t0002@whole"]
    assert set(driver.statuses.values()) == {"completed"}


def test_a_sweep_with_all_its_trials_waits_for_nothing_once_they_run(sweep, tmp_path):
    driver = Driver(sweep("search: {algorithm: random, trials: 2}\n"), begin(tmp_path / "a"))
    first, second = driver.start(), driver.start()
    assert driver.agenda.next() == "wait"
    driver.train(second)
    assert driver.agenda.next() == "wait"
    driver.train(first)
    assert driver.agenda.next() is None


def test_what_was_interrupted_comes_before_anything_new(sweep, tmp_path):
    driver = Driver(sweep(), begin(tmp_path / "a"))
    driver.run(1)
    interrupted = driver.start()
    driver.train(interrupted, killed_after=4)
    again = Driver(sweep(), driver.folder)
    assert again.statuses["t0001"] == "pending"
    assert again.run(2) == [interrupted.key, "t0002@whole"]


def test_an_interrupted_rung_is_gone_on_with_at_that_rung(sweep, tmp_path):
    driver = Driver(sweep(RANDOM + STRETCH), begin(tmp_path / "a"))
    driver.run(4)  # the recipe and three rungs of one epoch
    promoted = driver.start()
    assert promoted.rung == 3
    driver.train(promoted, killed_after=2)
    again = Driver(sweep(RANDOM + STRETCH), driver.folder).start()
    assert (again.key, again.folder) == (promoted.key, promoted.folder)


# ---- stretched schedules -------------------------------------------------------------------------


@pytest.mark.parametrize("steps_per_epoch", [1, 9, 390])
@pytest.mark.parametrize("whole", [9, 27, 90, 300])
def test_a_rung_trains_exactly_its_epochs(sweep, whole, steps_per_epoch):
    recipe = sweep().recipe.model_copy(update={"max_duration": Duration.parse(f"{whole}ep")})
    for rung in range(1, whole):
        short = stretched(recipe, rung)
        assert short.total_steps(steps_per_epoch) == rung * steps_per_epoch


def test_a_rung_shortens_warm_up_and_decay_in_proportion(sweep):
    # Of 9 epochs, warm-up 1 and cosine 8: a third of each, in steps of 9 to the epoch.
    short = stretched(sweep().recipe, 3)
    scale = short.exact_schedule_scale
    warmup = short.lr_schedulers.linear_warmup
    cosine = short.lr_schedulers.cosine_decay
    assert cosine is not None
    assert warmup.steps(9, scale=scale) == 3
    assert cosine.T_max.steps(9, scale=scale) == 24
    assert short.total_steps(9) == 27


def test_a_recipe_that_is_scaled_itself_has_rungs_of_the_same_length(sweep):
    recipe = sweep(recipe=f"{RECIPE}schedule_scale: 2\n").recipe
    assert whole_epochs(recipe) == 18
    assert stretched(recipe, 3).total_steps(9) == 27


def test_the_rung_s_folder_holds_its_own_recipe_and_the_trial_s_the_whole_one(sweep, tmp_path):
    driver = Driver(sweep(RANDOM + STRETCH), begin(tmp_path / "a"))
    driver.run(1)
    first = driver.start()
    assert first.folder == driver.folder.trial_folder(first.record) / "rungs/ep0001"
    short = Recipe.from_yaml(first.folder / "recipe.yaml")
    assert short.schedule_scale == 1 / 9
    assert Recipe.from_yaml(first.folder.parents[1] / "recipe.yaml").schedule_scale == 1
    assert short.model_copy(update={"schedule_scale": 1.0}) == driver.sweep.recipe_for(
        first.record.overrides
    )


def test_the_best_of_three_is_promoted_before_a_new_trial_comes(sweep, tmp_path):
    values = {1: 0.3, 2: 0.5, 3: 0.4, 4: 0.1, 5: 0.2, 6: 0.6}
    driver = Driver(
        sweep(RANDOM + STRETCH), begin(tmp_path / "a"), lambda r, n, e: values.get(r.index, 0.9)
    )
    assert driver.run(9) == [
        "t0000@whole", "t0001@1", "t0002@1", "t0003@1", "t0002@3",
        "t0004@1", "t0005@1", "t0006@1", "t0006@3",
    ]  # fmt: skip


def test_at_the_end_one_trial_but_the_recipe_gets_its_whole_schedule_and_the_rest_is_stopped(
    sweep, tmp_path
):
    # Four trials besides the recipe: one in three of rung 1 is promoted, nobody earns more.
    values = {0: 0.9, 1: 0.3, 2: 0.5, 3: 0.4, 4: 0.1}
    driver = Driver(
        sweep("search: {algorithm: random, trials: 5}\n" + STRETCH),
        begin(tmp_path / "a"),
        lambda r, n, e: values[r.index],
    )
    assert driver.run() == [
        "t0000@whole", "t0001@1", "t0002@1", "t0003@1", "t0002@3", "t0004@1", "t0002@whole",
    ]  # fmt: skip
    assert driver.statuses == {
        "t0000": "completed", "t0001": "stopped_early", "t0002": "completed",
        "t0003": "stopped_early", "t0004": "stopped_early",
    }  # fmt: skip


def test_another_trial_is_brought_through_if_the_only_candidate_fails(sweep, tmp_path):
    values = {0: 0.9, 1: 0.3, 2: 0.5, 3: 0.4}

    def failure(assignment: Assignment):
        if assignment.key == "t0002@whole":
            return {"reason": "error", "error": "ValueError: no"}
        return None

    # The rung of 3 has one trial, which has failed since: the last call of rung 1 is used up by
    # it, so nobody else is promoted, and the sweep ends all the same.
    driver = Driver(
        sweep("search: {algorithm: random, trials: 4}\n" + STRETCH),
        begin(tmp_path / "a"),
        lambda r, n, e: values[r.index],
        failure=failure,
    )
    driver.run()
    assert driver.statuses["t0002"] == "failed"
    assert "paused" not in driver.statuses.values()


def test_a_trial_whose_rung_ended_in_nan_is_never_promoted(sweep, tmp_path):
    driver = Driver(
        sweep("search: {algorithm: random, trials: 4}\n" + STRETCH),
        begin(tmp_path / "a"),
        lambda r, n, e: math.nan if r.index else 0.5,
    )
    assert driver.run() == ["t0000@whole", "t0001@1", "t0002@1", "t0003@1"]
    assert list(driver.statuses.values()) == ["completed", *["stopped_early"] * 3]


# ---- duplicates and points without training ------------------------------------------------------


def test_an_exhausted_space_ends_with_a_reason(sweep, tmp_path):
    space = "space:\n  model.name: {choice: [resnet_20, resnet_56]}\n"
    driver = Driver(
        sweep("search: {algorithm: random, trials: 5}\n", space=space), begin(tmp_path / "a")
    )
    assert len(driver.run()) == 2  # resnet_20 is the recipe itself
    assert driver.agenda.closed == "every point of the space was tried"
    num_records = len(driver.statuses)
    Driver(driver.sweep, driver.folder).run()
    assert len(driver.statuses) == num_records


def test_duplicates_do_not_count_as_trials_and_name_their_twin(sweep, tmp_path):
    space = "space:\n  train_batch_size: {choice: [32, 64, 128]}\n"
    driver = Driver(
        sweep("search: {algorithm: random, trials: 3}\n", space=space), begin(tmp_path / "a")
    )
    assert len(driver.run()) == 3
    trained = {
        r.overrides.get("train_batch_size", 128): r.id
        for r in driver.folder.read_records()
        if r.status == "completed"
    }
    assert set(trained) == {32, 64, 128}
    duplicates = [r for r in driver.folder.read_records() if r.status == "duplicate"]
    assert duplicates
    assert all(r.twin == trained[r.overrides["train_batch_size"]] for r in duplicates)
    assert driver.memory.num_trained == 3


# ---- failures ------------------------------------------------------------------------------------


def test_out_of_memory_halves_the_micro_batch_and_tries_the_trial_again_first(sweep, tmp_path):
    limits = []

    def failure(assignment):
        limits.append((assignment.key, assignment.record.micro_batch_limit))
        if assignment.record.index == 1 and len(limits) < 4:
            in_use = assignment.record.micro_batch_limit or 64
            return {"reason": "oom", "error": "E: no", "micro_batch_size": in_use}
        return None

    driver = Driver(
        sweep(
            "search: {algorithm: random, trials: 3}\n", recipe=f"{RECIPE}micro_batch_size: auto\n"
        ),
        begin(tmp_path / "a"),
        failure=failure,
    )
    driver.run()
    assert limits == [
        ("t0000@whole", None), ("t0001@whole", None), ("t0001@whole", 32), ("t0001@whole", 16),
        ("t0002@whole", None),
    ]  # fmt: skip
    assert set(driver.statuses.values()) == {"completed"}


def test_a_trial_that_was_trained_in_vain_counts_as_one(sweep, tmp_path):
    def failure(assignment):
        return {"reason": "nan", "error": "E: no"} if assignment.record.index == 1 else None

    driver = Driver(
        sweep("search: {algorithm: random, trials: 3}\n"), begin(tmp_path / "a"), failure=failure
    )
    driver.run()
    assert driver.statuses == {"t0000": "completed", "t0001": "infeasible", "t0002": "completed"}


def test_a_stopped_trial_of_a_truncated_schedule_is_not_gone_on_with(sweep, tmp_path):
    driver = Driver(sweep(RANDOM + TRUNCATE), begin(tmp_path / "a"))
    keys = driver.run()
    assert len(keys) == len(set(keys)) == 12
    stopped = [i for i, status in driver.statuses.items() if status == "stopped_early"]
    assert stopped
    records = {record.id: record for record in driver.folder.read_records()}
    assert {len(driver.folder.history(records[i])) for i in stopped} <= {1, 3}
