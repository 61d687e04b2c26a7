import pytest

from sweeps.fresh_seeds import fresh_seed, next_confirmation
from sweeps.memory import Memory
from tests.sweeps.simulation import LR, STRETCH, Driver, begin, quick_disk, write_sweep

TRIALS = "search: {algorithm: random, trials: 4, seed: 5}\n"
VALUES = {0: 0.5, 1: 0.7, 2: 0.6, 3: 0.8}


@pytest.fixture
def driver(tmp_path, monkeypatch):
    quick_disk(monkeypatch)

    def driver(text="", **options):
        sweep = write_sweep(tmp_path, TRIALS + text, **options)
        return Driver(sweep, begin(tmp_path / "a"), lambda r, n, e: VALUES.get(r.index, 0.1))

    return driver


def confirmations(driver: Driver) -> list[tuple[str, int]]:
    return [(r.id, r.overrides["seed"]) for r in driver.folder.read_confirmations()]


def test_seeds_are_multiples_of_a_fixed_number_from_the_search_seed_on():
    # 2**32 over the golden ratio is 2,654,435,769; twice that, modulo 2**32, 1,013,904,242.
    assert fresh_seed(0, 1, set()) == 2_654_435_769
    assert fresh_seed(0, 2, set()) == 1_013_904_242
    assert fresh_seed(10, 1, set()) == 2_654_435_779


def test_a_seed_that_was_used_is_left_out():
    assert fresh_seed(0, 1, {2_654_435_769}) == 1_013_904_242


def test_seeds_are_different_and_possible_in_a_recipe():
    seeds = {fresh_seed(7, copy, {0, 7}) for copy in range(1, 101)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_the_best_trials_and_the_recipe_are_trained_seed_by_seed_with_the_same_seeds(driver):
    one = driver("confirm: {top_k: 2, seeds: 2}\n")
    keys = one.run()
    assert keys[4:] == [
        f"{trial}-s{copy}@whole" for copy in (1, 2) for trial in ("t0000", "t0003", "t0001")
    ]
    first, second = fresh_seed(5, 1, {0}), fresh_seed(5, 2, {0})
    assert confirmations(one) == [
        ("t0000-s1", first), ("t0000-s2", second), ("t0001-s1", first), ("t0001-s2", second),
        ("t0003-s1", first), ("t0003-s2", second),
    ]  # fmt: skip


def test_confirmations_are_trained_in_all_slots_at_a_time(driver):
    one = driver("confirm: {top_k: 1, seeds: 2}\n")
    one.run(4)
    assert [one.start().key for _ in range(4)] == [
        "t0000-s1@whole", "t0003-s1@whole", "t0000-s2@whole", "t0003-s2@whole",
    ]  # fmt: skip
    assert one.agenda.next() == "wait"  # any of them may have to be tried again


def test_a_confirmation_differs_from_its_trial_in_nothing_but_the_seed(driver):
    one = driver("confirm: {top_k: 1, seeds: 2}\n")
    one.run()
    trial = one.memory.records[3]
    copy = one.memory.confirmations["t0003-s1"]
    assert {**copy.overrides, "seed": 0} == {**trial.overrides, "seed": 0}
    assert one.sweep.recipe_for(copy.overrides).digest() == copy.digest
    assert (
        copy.name == f"t0003-s1 {trial.name.removeprefix('t0003 ')} seed={copy.overrides['seed']}"
    )


def test_seeds_that_any_trial_was_trained_with_are_not_fresh(driver):
    # Seeds of the space: the first fresh ones, one of which a trial that failed has had.
    used = [fresh_seed(5, copy, set()) for copy in (1, 2, 3)]
    space = f"space:\n  seed: {{choice: {used}}}\n  {LR}: {{uniform: [1, 2]}}\n"
    one = driver("confirm: {top_k: 1, seeds: 2}\n", space=space)
    one.failure = lambda assignment: (
        {"reason": "error", "error": "E"} if assignment.key == "t0002@whole" else None
    )
    one.run()
    seeds = {seed for _, seed in confirmations(one)}
    trained = {record.overrides["seed"] for record in one.folder.read_records()[1:]}
    assert trained & set(used)
    assert not seeds & trained


def test_trials_stopped_at_a_rung_are_not_confirmed(driver):
    one = driver(f"{STRETCH}confirm: {{top_k: 3, seeds: 2}}\n")
    one.run()
    completed = {i for i, status in one.statuses.items() if status == "completed"}
    assert {name.partition("-")[0] for name, _ in confirmations(one)} == completed
    assert len(completed) == 2  # the recipe, and the one that was brought through


def test_without_another_completed_trial_there_is_nothing_to_confirm(driver):
    one = driver("confirm: {top_k: 2, seeds: 2}\n")
    one.failure = lambda assignment: (
        {"reason": "error", "error": "E"} if assignment.record.index else None
    )
    one.run()
    assert confirmations(one) == []
    assert not Driver(one.sweep, one.folder).agenda.has_more


def test_without_the_recipe_s_own_result_there_is_nothing_to_compare_with(driver):
    one = driver("confirm: {top_k: 2, seeds: 2}\n")
    one.failure = lambda assignment: (
        None if assignment.record.index else {"reason": "error", "error": "E"}
    )
    one.run()
    assert confirmations(one) == []


def test_a_failed_confirmation_is_not_begun_again_by_itself(driver):
    one = driver("confirm: {top_k: 1, seeds: 2}\n")
    one.failure = lambda assignment: (
        {"reason": "error", "error": "E"} if assignment.record.copy == 1 else None
    )
    keys = one.run()
    assert len(keys) == len(set(keys)) == 4 + 4
    assert next_confirmation(one.sweep, Memory(one.sweep, one.folder), top_k=1, seeds=2) is None


def test_more_seeds_asked_for_later_add_to_the_first_ones(driver):
    one = driver("confirm: {top_k: 1, seeds: 2}\n")
    one.run()
    before = confirmations(one)
    record = next_confirmation(one.sweep, Memory(one.sweep, one.folder), top_k=1, seeds=3)
    assert record is not None
    assert (record.id, record.overrides["seed"]) == ("t0000-s3", fresh_seed(5, 3, {0}))
    assert confirmations(one) == before


def test_a_confirmation_keeps_the_micro_batch_that_fitted(driver):
    one = driver()
    one.run()
    one.memory.write(one.memory.records[3], micro_batch_limit=16)
    found = next_confirmation(one.sweep, one.memory, top_k=1, seeds=2)
    assert found is not None
    assert (found.id, found.micro_batch_limit) == ("t0000-s1", None)
    one.folder.create_training(found, None, "")
    one.folder.write_record(found)
    one.memory.write(found)
    found = next_confirmation(one.sweep, one.memory, top_k=1, seeds=2)
    assert found is not None
    assert (found.id, found.micro_batch_limit) == ("t0003-s1", 16)
