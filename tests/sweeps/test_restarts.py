"""Killed drivers, finished sweeps that are run again, and extended ones."""

import math
import random
from dataclasses import replace

import pytest

from sweeps.assignment import Assignment
from sweeps.changes import extend
from tests.sweeps.simulation import (
    RANDOM,
    STRETCH,
    TRUNCATE,
    Driver,
    begin,
)

# ---- restarts ------------------------------------------------------------------------------------

RESTARTS = {
    "asha": STRETCH,
    "hyperband": STRETCH.replace("asha", "hyperband"),
    "truncate": TRUNCATE,
    "none": "early_stopping: null\n",
    "window": f"{STRETCH}budget: {{no_improvement: 4}}\n",
    "target": f"{STRETCH}budget: {{target: 0.9}}\n",
    "hours": f"{STRETCH}budget: {{cpu_hours: 0.0194}}\n",  # 70 seconds, an epoch takes one
    "confirm": f"{STRETCH}confirm: {{top_k: 2, seeds: 2}}\n",
}


def outcome(driver: Driver) -> dict:
    """All that a sweep leaves behind, times excepted."""
    found = {}
    for record in [*driver.folder.read_records(), *driver.folder.read_confirmations()]:
        history = driver.folder.history(record)
        times = {"suggested_at": None, "ended_at": None, "start_seconds": None}
        found[record.id] = replace(record, **times), [point["val_accuracy"] for point in history]
    return found


def by_chance(seed: int):
    """Values and failures that depend on seed, trial and schedule, and on nothing else."""

    def draw(record, num_epochs) -> random.Random:
        return random.Random(f"{seed} {record.digest} {num_epochs}")

    def value(record, num_epochs, epoch) -> float:
        rng = draw(record, num_epochs)
        return math.nan if rng.random() < 0.05 else rng.random() * epoch / num_epochs

    def failure(assignment):
        number = draw(assignment.record, assignment.rung or "whole").random()
        if assignment.record.index == 0 or number > 0.15:
            return None
        reason = "nan" if number < 0.05 else "error"
        return {"reason": reason, "error": "E: no"}

    return value, failure


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", RESTARTS)
def test_a_driver_that_is_killed_after_every_single_step_changes_nothing(
    sweep, tmp_path, kind, seed
):
    value, failure = by_chance(seed)
    what = sweep(f"search: {{algorithm: random, trials: 14, seed: {seed}}}\n{RESTARTS[kind]}")
    undisturbed = Driver(what, begin(tmp_path / "one"), value, failure=failure)
    keys = undisturbed.run()

    folder, restarted = begin(tmp_path / "other"), []
    while step := Driver(what, folder, value, failure=failure).run(1):
        restarted += step
    assert restarted == keys
    last = Driver(what, folder, value)
    assert outcome(last) == outcome(undisturbed)
    assert last.agenda.closed == undisturbed.agenda.closed
    assert not {"paused", "pending", "running"} & set(last.statuses.values())
    if kind == "asha":
        assert any(key.endswith("@3") for key in keys)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", ["asha", "truncate", "confirm"])
def test_a_driver_that_is_killed_in_the_middle_of_trainings_changes_nothing(
    sweep, tmp_path, kind, seed
):
    value, _ = by_chance(seed)
    what = sweep(f"search: {{algorithm: random, trials: 10, seed: {seed}}}\n{RESTARTS[kind]}")
    undisturbed = Driver(what, begin(tmp_path / "one"), value)
    undisturbed.run()

    folder, rng = begin(tmp_path / "other"), random.Random(seed)
    for _ in range(15):
        driver = Driver(what, folder, value)
        driver.run(rng.randint(0, 3))
        found = driver.agenda.next()
        if isinstance(found, Assignment):
            driver.train(found, killed_after=rng.randint(0, 8))
    driver = Driver(what, folder, value)
    driver.run()
    assert outcome(driver) == outcome(undisturbed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slots", [2, 3])
def test_with_several_slots_every_trial_comes_to_an_end_and_one_gets_its_whole_schedule(
    sweep, tmp_path, slots, seed
):
    value, _ = by_chance(seed)
    what = sweep(f"search: {{algorithm: random, trials: 12, seed: {seed}}}\n{STRETCH}")
    driver = Driver(what, begin(tmp_path / "a"), value, slots=slots)
    rng, running = random.Random(seed), []
    while True:
        found = driver.agenda.next() if len(running) < slots else "wait"
        if isinstance(found, Assignment):
            running.append(found)
        elif running:
            driver.train(running.pop(rng.randrange(len(running))))
        else:
            assert found is None
            break
    statuses = driver.statuses
    assert set(statuses.values()) <= {"completed", "stopped_early"}
    assert statuses.pop("t0000") == "completed"
    assert "completed" in statuses.values()
    assert len(statuses) == 11


@pytest.mark.parametrize("kind", RESTARTS)
def test_a_finished_sweep_starts_nothing(sweep, tmp_path, kind):
    driver = Driver(sweep(RANDOM + RESTARTS[kind]), begin(tmp_path / "a"))
    driver.run()
    before = outcome(driver)
    again = Driver(driver.sweep, driver.folder)
    assert not again.agenda.has_more
    assert again.run() == []
    assert outcome(again) == before


def test_a_sweep_that_waits_for_its_last_promotion_has_more(sweep, tmp_path):
    driver = Driver(sweep("search: {trials: 3}\n" + STRETCH), begin(tmp_path / "a"))
    driver.run(3)  # all three trials were begun, two wait at the first rung
    again = Driver(driver.sweep, driver.folder).agenda
    assert (again.has_more, again.expects_more) == (True, False)


# ---- extension -----------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["random", "tpe", "cmaes", "qmc", "nsga2"])
def test_an_extended_sweep_suggests_what_a_longer_one_would_have(sweep, tmp_path, algorithm):
    search = f"search: {{algorithm: {algorithm}, trials: TRIALS, seed: 5}}\n"
    longer = Driver(sweep(search.replace("TRIALS", "18")), begin(tmp_path / "one"))
    longer.run()
    short = sweep(search.replace("TRIALS", "13"))
    folder = begin(tmp_path / "other")
    Driver(short, folder).run()
    extend(short, folder, 5)
    extended = Driver(short, folder)
    assert extended.run() == [f"t{index:04d}@whole" for index in range(13, 18)]
    assert extended.overrides == longer.overrides


def test_an_extended_sweep_may_promote_a_trial_that_was_stopped(sweep, tmp_path):
    # One in three is promoted: of trials 1 to 3 the second, of 1 to 6 the third as well.
    values = {0: 0.9, 1: 0.3, 2: 0.5, 3: 0.4, 4: 0.1, 5: 0.1, 6: 0.1}

    def value(record, num_epochs, epoch):
        return values[record.index]

    what = sweep("search: {algorithm: random, trials: 4}\n" + STRETCH)
    driver = Driver(what, begin(tmp_path / "a"), value)
    driver.run()
    assert driver.statuses["t0003"] == "stopped_early"
    extend(what, driver.folder, 3)
    again = Driver(what, driver.folder, value)
    assert again.run() == ["t0004@1", "t0005@1", "t0006@1", "t0003@3"]


def test_an_extended_sweep_goes_on_although_its_space_was_exhausted(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr("sweeps.agenda.MAX_FRUITLESS", 9)
    space = "space:\n  model.name: {choice: [resnet_20, resnet_56]}\n"
    what = sweep("search: {algorithm: random, trials: 5}\n", space=space)
    driver = Driver(what, begin(tmp_path / "a"))
    driver.run()
    assert driver.agenda.closed is not None
    extend(what, driver.folder, 1)
    assert Driver(what, driver.folder).agenda.closed is None
