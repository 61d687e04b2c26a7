"""How a budget ends a sweep, and what it leaves room for."""

from tests.sweeps.simulation import (
    RANDOM,
    RECIPE,
    STRETCH,
    Driver,
    begin,
)


def test_hours_end_the_search_so_that_what_was_begun_fits(sweep, tmp_path):
    # A second per epoch, nine per trial; 0.01 h are 36 s: four trials and no fifth.
    driver = Driver(
        sweep("budget: {cpu_hours: 0.01}\nsearch: {algorithm: random}\n"), begin(tmp_path / "a")
    )
    assert len(driver.run()) == 4
    assert driver.agenda.closed == (
        "budget: 0.01 of 0.01 cpu_hours are spent, the rest is not enough for another one"
    )


def test_what_runs_is_counted_before_it_has_ended(sweep, tmp_path):
    # 27 s: trial 0 has spent 9, trial 1 is going to spend 9, which leaves room for one.
    driver = Driver(
        sweep("budget: {cpu_hours: 0.0075}\nsearch: {algorithm: random}\n"),
        begin(tmp_path / "a"),
        slots=3,
    )
    driver.run(1)
    driver.start()
    driver.start()
    assert driver.agenda.next() == "wait"
    assert driver.agenda.closed is not None


def test_the_confirmation_has_its_part_of_the_hours_reserved(sweep, tmp_path):
    # 72 s: (1 + 1) trainings with 2 seeds are 36 s, which leaves 36 s: four trials.
    text = "budget: {cpu_hours: 0.02}\nsearch: {algorithm: random}\nconfirm: {top_k: 1, seeds: 2}\n"
    driver = Driver(sweep(text), begin(tmp_path / "a"))
    keys = driver.run()
    assert [key for key in keys if "-s" not in key] == [f"t{i:04d}@whole" for i in range(4)]
    assert len(keys) == 8


def test_a_candidate_is_brought_through_before_the_hours_are_spent(sweep, tmp_path):
    # 24 s: 9 for the recipe; the way of one trial through rungs 1 and 3 to 9 costs 1 + 3 + 9 = 13,
    # which leaves two for others. Trial 1 is promoted as the best of three, and then at the end.
    text = f"budget: {{cpu_hours: {24 / 3600}}}\nsearch: {{algorithm: random}}\n{STRETCH}"
    values = {0: 0.9, 1: 0.5, 2: 0.3, 3: 0.3, 4: 0.3}
    driver = Driver(sweep(text), begin(tmp_path / "a"), lambda r, n, e: values[r.index])
    keys = driver.run()
    assert keys == [
        "t0000@whole", "t0001@1", "t0002@1", "t0003@1", "t0001@3", "t0001@whole",
    ]  # fmt: skip
    assert driver.memory.ledger.worker_seconds == 9 + 3 + 3 + 9
    assert driver.agenda.closed is not None


def test_a_promotion_that_does_not_fit_into_the_hours_is_not_begun(sweep, tmp_path):
    # Of 3 epochs, with a rung of 1: 3 + 3 * 1 + 3 s until trial 1 is through. Trial 4 costs one
    # more, and is the best of four, but its whole schedule would make it 13 s of 12.
    values = {0: 0.9, 1: 0.5, 2: 0.3, 3: 0.3, 4: 0.6}
    text = f"budget: {{cpu_hours: {12 / 3600}}}\nsearch: {{algorithm: random}}\n{STRETCH}"
    what = sweep(text, recipe=RECIPE.replace("9ep", "3ep"))
    driver = Driver(what, begin(tmp_path / "a"), lambda r, n, e: values[r.index])
    assert driver.run() == [
        "t0000@whole", "t0001@1", "t0002@1", "t0003@1", "t0001@whole", "t0004@1",
    ]  # fmt: skip
    assert driver.statuses["t0004"] == "stopped_early"
    assert driver.agenda.closed is not None


def test_what_runs_counts_with_the_epochs_that_are_left_of_it(sweep, tmp_path):
    what = sweep(RANDOM + STRETCH)
    driver = Driver(what, begin(tmp_path / "a"))
    driver.train(driver.start(), killed_after=4)
    again = Driver(what, driver.folder)
    again.start()
    again.start()
    assert again.memory.ledger.running == {"t0000@whole": 5, "t0001@1": 1}


def test_what_a_closed_sweep_has_stopped_stays_stopped_although_there_is_room_again(
    sweep, tmp_path
):
    # Of 3 epochs, with a rung of 1: at 13 s of 14 the promotion of trial 4 would end too late. A
    # driver that was killed has not told its last seconds, so that the next one counts from 0.
    values = {0: 0.9, 1: 0.5, 2: 0.3, 3: 0.3, 4: 0.6}
    what = sweep(
        f"budget: {{wall_clock: 14sec}}\nsearch: {{algorithm: random}}\n{STRETCH}",
        recipe=RECIPE.replace("9ep", "3ep"),
    )
    driver = Driver(
        what,
        begin(tmp_path / "a"),
        lambda r, n, e: values[r.index],
        wall_seconds=lambda: 13.0 if 4 in driver.memory.records else 0.0,
    )
    driver.run()
    assert driver.statuses["t0004"] == "stopped_early"
    assert Driver(what, driver.folder).run() == []


def test_a_wall_clock_ends_the_search_before_a_trial_that_would_end_too_late(sweep, tmp_path):
    # One second per epoch. A trial is begun at 18 s of 30 and not at 27 s.
    now = [0.0]
    driver = Driver(
        sweep("budget: {wall_clock: 30sec}\nsearch: {algorithm: random}\n"),
        begin(tmp_path / "a"),
        wall_seconds=lambda: now[0],
    )
    keys = []
    while step := driver.run(1):
        keys += step
        now[0] += 9
    assert len(keys) == 3
    assert driver.folder.read_state().wall_seconds == 18  # known even if the driver is killed


def test_a_target_ends_the_sweep_at_once(sweep, tmp_path):
    values = {0: 0.5, 1: 0.9, 2: 0.99, 3: 0.99}
    driver = Driver(
        sweep(RANDOM + "budget: {target: 0.9}\n"),
        begin(tmp_path / "a"),
        lambda r, n, e: values[r.index],
    )
    assert len(driver.run()) == 2
    assert driver.agenda.closed == "budget: val_accuracy 0.9 has reached the target 0.9"


def test_a_target_ends_promotions_too(sweep, tmp_path):
    # Of 3 epochs, with a rung of 1. While trial 1 trains its whole schedule, three more end the
    # rung, so that the second best of six, trial 3, has earned its own when the target is reached.
    values = {0: 0.1, 1: 0.95, 2: 0.2, 3: 0.3, 4: 0.2, 5: 0.2, 6: 0.2}
    driver = Driver(
        sweep(f"{RANDOM}budget: {{target: 0.9}}\n{STRETCH}", recipe=RECIPE.replace("9ep", "3ep")),
        begin(tmp_path / "a"),
        lambda r, n, e: values[r.index],
        slots=2,
    )
    driver.run(4)
    promoted = driver.start()
    assert promoted.key == "t0001@whole"
    driver.run(3)
    driver.train(promoted)
    assert driver.run() == []
    assert driver.statuses["t0003"] == "stopped_early"
    assert driver.agenda.closed == "budget: val_accuracy 0.95 has reached the target 0.9"


def test_a_promotion_without_room_is_the_one_that_is_made_up_for_at_the_end(sweep, tmp_path):
    # Trial 2 has earned the rung of 3 when the clock has run out: it becomes the candidate.
    values = {0: 0.9, 1: 0.3, 2: 0.5, 3: 0.4}
    driver = Driver(
        sweep(f"{RANDOM}budget: {{wall_clock: 100sec}}\n{STRETCH}"),
        begin(tmp_path / "a"),
        lambda r, n, e: values[r.index],
        wall_seconds=lambda: 1000.0 if 3 in driver.memory.records else 0.0,
    )
    assert driver.run()[4:] == ["t0002@3", "t0002@whole"]
    assert driver.agenda.closed is not None


def test_a_rung_s_value_reaches_no_target(sweep, tmp_path):
    driver = Driver(
        sweep(RANDOM + STRETCH + "budget: {target: 0.9}\n"),
        begin(tmp_path / "a"),
        lambda r, n, e: 0.95 if n < 9 else 0.5,
    )
    driver.run()
    assert driver.agenda.closed is None


def test_trials_without_improvement_end_the_search_for_good(sweep, tmp_path):
    # The second trial is the best; two more in a row that are no better make the window.
    values = {0: 0.5, 1: 0.6, 2: 0.55, 3: 0.6}
    what = sweep(RANDOM + "budget: {no_improvement: 2}\n")
    driver = Driver(what, begin(tmp_path / "a"), lambda r, n, e: values[r.index])
    assert len(driver.run()) == 4
    assert driver.agenda.closed == "budget: 2 trials in a row brought no improvement"


def test_a_window_stays_closed_although_a_trial_that_ran_on_was_better(sweep, tmp_path):
    values = {0: 0.5, 1: 0.4, 2: 0.9}
    what = sweep(RANDOM + "budget: {no_improvement: 1}\n")
    driver = Driver(what, begin(tmp_path / "a"), lambda r, n, e: values[r.index], slots=2)
    driver.run(1)
    one, two = driver.start(), driver.start()
    driver.train(one)
    assert driver.agenda.next() == "wait"
    driver.train(two)
    again = Driver(what, driver.folder)
    assert again.agenda.closed == "budget: 1 trials in a row brought no improvement"
    assert not again.agenda.has_more
