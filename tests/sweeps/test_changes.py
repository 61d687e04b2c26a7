import pytest

from resnet_core.problems import InvalidFile
from sweeps.changes import (
    NothingToDo,
    confirm,
    extend,
    rerun,
    retry_failed,
)
from sweeps.fresh_seeds import fresh_seed
from sweeps.storage import TrialNotFound
from tests.sweeps.simulation import LR, STRETCH, Driver, begin, quick_disk, write_sweep

TRIALS = "search: {algorithm: random, trials: 3, seed: 5}\n"
BATCH = "train_batch_size"


@pytest.fixture
def driver(tmp_path, monkeypatch):
    quick_disk(monkeypatch)

    def driver(text=TRIALS, *, failing=(), **options):
        def failure(assignment):
            key = assignment.record.id
            return {"reason": "error", "error": "E: no"} if key in failing else None

        sweep = write_sweep(tmp_path, text, **options)
        return Driver(sweep, begin(tmp_path / "a"), failure=failure)

    return driver


def again(one: Driver) -> Driver:
    return Driver(one.sweep, one.folder)


# ---- extend --------------------------------------------------------------------------------------


def test_an_extended_sweep_trains_so_many_trials_more(driver):
    one = driver()
    one.run()
    extend(one.sweep, one.folder, 2)
    assert again(one).run() == ["t0003@whole", "t0004@whole"]
    assert again(one).run() == []


def test_extensions_add_up(driver):
    one = driver()
    extend(one.sweep, one.folder, 2)
    extend(one.sweep, one.folder, 3)
    assert len(one.statuses) == 0
    assert len(again(one).run()) == 3 + 5


def test_a_sweep_that_only_its_budget_ends_cannot_be_extended(driver):
    one = driver("search: {algorithm: random}\nbudget: {cpu_hours: 0.01}\n")
    with pytest.raises(NothingToDo, match="its budget ends it"):
        extend(one.sweep, one.folder, 1)


def test_an_extension_does_not_lift_the_budget(driver):
    # 27 s are spent, and no trial of 9 s more fits into 30 s.
    one = driver(f"{TRIALS}budget: {{cpu_hours: {30 / 3600}}}\n")
    assert len(one.run()) == 3
    extend(one.sweep, one.folder, 1)
    other = again(one)
    assert other.run() == []
    assert other.agenda.closed is not None


# ---- retry ---------------------------------------------------------------------------------------


def test_only_failed_trials_are_tried_again(driver):
    one = driver(failing=("t0001",))
    one.run()
    one.memory.write(one.memory.records[2], status="infeasible", reason="nan")
    assert [record.id for record in retry_failed(one.folder)] == ["t0001"]
    records = {record.id: record for record in one.folder.read_records()}
    retried = records["t0001"]
    assert (retried.status, retried.reason, retried.error, retried.ended_at) == (
        "pending", None, None, None,
    )  # fmt: skip
    assert records["t0002"].status == "infeasible"
    other = again(one)
    assert other.run() == ["t0001@whole"]
    assert other.statuses["t0001"] == "completed"


def test_only_those_that_failed_for_a_reason_are_tried_again_if_one_is_given(driver):
    one = driver(failing=("t0001", "t0002"))
    one.run()
    one.memory.write(one.memory.records[2], reason="storage")
    assert [record.id for record in retry_failed(one.folder, ("data", "storage"))] == ["t0002"]
    assert one.folder.read_records()[1].status == "failed"


def test_a_failed_trial_keeps_what_it_has_cost(driver):
    one = driver(failing=("t0001",))
    one.run()
    retry_failed(one.folder)
    assert one.folder.read_records()[1].worker_seconds == 1.0


def test_a_trial_that_failed_at_a_rung_is_tried_again_at_that_rung(driver):
    one = driver("search: {algorithm: random, trials: 2}\n" + STRETCH, failing=("t0001",))
    assert one.run() == ["t0000@whole", "t0001@1"]
    retry_failed(one.folder)
    assert again(one).run() == ["t0001@1", "t0001@3", "t0001@whole"]


def test_failed_confirmations_are_tried_again(driver):
    one = driver(f"{TRIALS}confirm: {{top_k: 1, seeds: 2}}\n", failing=("t0000-s2",))
    one.run()
    assert [record.id for record in retry_failed(one.folder)] == ["t0000-s2"]
    assert again(one).run() == ["t0000-s2@whole"]


def test_without_a_failure_there_is_nothing_to_try_again(driver):
    one = driver()
    one.run()
    assert retry_failed(one.folder) == []


# ---- rerun ---------------------------------------------------------------------------------------


def test_a_variant_is_a_new_trial_with_the_values_changed(driver):
    one = driver()
    one.run()
    original = one.folder.read_records()[1]
    record = rerun(one.sweep, one.folder, "t0001", [f"{BATCH}=64", "seed=7"])
    assert (record.id, record.status, record.origin) == ("t0003", "pending", "rerun of t0001")
    assert record.overrides == {**original.overrides, BATCH: 64, "seed": 7}
    assert again(one).run() == ["t0003@whole"]
    assert one.sweep.recipe_for(record.overrides).digest() == record.digest


def test_a_variant_may_lie_outside_the_space_and_is_then_not_told_to_the_searcher(driver):
    one = driver()
    one.run()
    rerun(one.sweep, one.folder, "t0001", [f"{LR}=100"])
    extend(one.sweep, one.folder, 1)
    other = again(one)
    assert other.run() == ["t0003@whole", "t0004@whole"]
    other = again(one)
    study = other.agenda._suggester.study(9, other.memory.seen())
    assert len(study.trials) == 3  # of 1, 2, 3 and 4, all but the variant


def test_a_variant_of_the_recipe_changes_the_recipe(driver):
    one = driver()
    one.run()
    assert rerun(one.sweep, one.folder, "t0000", ["seed=7"]).overrides == {"seed": 7}


def test_a_variant_of_a_trial_stopped_at_a_rung_trains_the_whole_schedule(driver):
    one = driver("search: {algorithm: random, trials: 5}\n" + STRETCH)
    one.run()
    stopped = next(i for i, status in one.statuses.items() if status == "stopped_early")
    record = rerun(one.sweep, one.folder, stopped, ["seed=7"])
    assert record.rung is None
    assert again(one).run() == [f"{record.id}@whole"]


def test_a_change_of_a_whole_sub_tree_replaces_what_was_changed_within_it(driver):
    space = "space:\n  lr_schedulers.linear_warmup: {choice: [2ep, 3ep]}\n"
    one = driver("search: {algorithm: random, trials: 2}\n", space=space)
    one.run()
    tree = "lr_schedulers={linear_warmup: 0ep, constant: {}}"
    record = rerun(one.sweep, one.folder, "t0001", [tree])
    assert list(record.overrides) == ["lr_schedulers"]
    recipe = one.sweep.recipe_for(record.overrides)
    assert str(recipe.lr_schedulers.linear_warmup) == "0ep"
    assert recipe.lr_schedulers.constant is not None


def test_a_variant_that_was_trained_already_is_refused(driver):
    one = driver()
    one.run()
    rate = one.folder.read_records()[1].overrides[LR]
    with pytest.raises(NothingToDo, match=r"that is t0001 lr=.*, which was tried already"):
        rerun(one.sweep, one.folder, "t0000", [f"{LR}={rate!r}"])
    assert len(one.statuses) == 3


def test_a_variant_of_no_trial_is_refused_with_the_nearest_one(driver):
    one = driver()
    one.run()
    with pytest.raises(TrialNotFound, match="no trial 't002'; did you mean t0002"):
        rerun(one.sweep, one.folder, "t002", ["seed=1"])


def test_an_impossible_change_is_refused_and_leaves_no_trial(driver):
    one = driver()
    one.run()
    with pytest.raises(InvalidFile, match="more than the 1204 training images"):
        rerun(one.sweep, one.folder, "t0001", [f"{BATCH}=5000"])
    with pytest.raises(InvalidFile):
        rerun(one.sweep, one.folder, "t0001", ["sede=1"])
    assert len(one.statuses) == 3


def test_a_variant_takes_no_trial_of_the_search_away(driver):
    one = driver()
    one.run(2)
    rerun(one.sweep, one.folder, "t0001", ["seed=7"])
    assert again(one).run() == ["t0002@whole", "t0003@whole"]


def test_a_variant_is_trained_although_the_search_is_closed(driver):
    one = driver(f"{TRIALS}budget: {{target: 0.1}}\n")
    one.run()
    assert one.agenda.closed is not None
    record = rerun(one.sweep, one.folder, "t0000", ["seed=7"])
    assert again(one).run() == [f"{record.id}@whole"]


# ---- confirm -------------------------------------------------------------------------------------


def test_a_confirmation_can_be_asked_for_later(driver):
    one = driver()
    one.run()
    confirm(one.sweep, one.folder, top_k=1, seeds=2)
    keys = again(one).run()
    best = one.memory.completed[0].id
    assert keys == [f"{trial}-s{copy}@whole" for copy in (1, 2) for trial in ("t0000", best)]
    seeds = {record.overrides["seed"] for record in one.folder.read_confirmations()}
    assert seeds == {fresh_seed(5, copy, {0}) for copy in (1, 2)}


def test_what_is_asked_for_later_counts_instead_of_what_the_file_says(driver):
    one = driver(f"{TRIALS}confirm: {{top_k: 1, seeds: 2}}\n")
    one.run()
    confirm(one.sweep, one.folder, top_k=2, seeds=2)
    assert len(again(one).run()) == 2  # the second best, with both seeds


def test_with_nothing_but_the_recipe_completed_there_is_nothing_to_confirm(driver):
    one = driver(failing=("t0001", "t0002"))
    one.run()
    with pytest.raises(NothingToDo, match="no trial but the recipe has completed"):
        confirm(one.sweep, one.folder, top_k=1, seeds=2)


def test_without_the_recipe_s_own_result_a_confirmation_is_refused(driver):
    one = driver(failing=("t0000",))
    one.run()
    with pytest.raises(NothingToDo, match="the recipe, to compare with, has not completed"):
        confirm(one.sweep, one.folder, top_k=1, seeds=2)
