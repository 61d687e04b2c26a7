import pytest

from sweeps.sections import BudgetConfig, ObjectiveConfig, ResourcesConfig
from sweeps.spending import Budget, Ledger, hours_per_worker_second


def budget(resources=None, objective=None, **config) -> Budget:
    return Budget(
        BudgetConfig.model_validate(config),
        ResourcesConfig.model_validate(resources or {}),
        ObjectiveConfig.model_validate(objective or {}),
    )


def spent_up(of: Budget, ledger: Ledger, **options) -> str | None:
    options = {"wall_seconds": 0.0, "epochs_ahead": 0, "reserved_epochs": 0, "slots": 1, **options}
    return of.spent_up(ledger, **options)


# 100 epochs of 36 s each: an hour.
HOUR = {"worker_seconds": 3600.0, "epochs": 100}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, 1 / 3600),
        ({"cpus_per_worker": 4}, 4 / 3600),
        ({"gpus_per_worker": 2, "cpus_per_worker": 8}, 2 / 3600),
        ({"gpus_per_worker": 0.25}, 0.25 / 3600),
    ],
    ids=["1 CPU", "4 CPUs", "2 GPUs", "a quarter of a GPU"],
)
def test_an_hour_is_a_worker_s_hour_times_its_gpus_or_without_any_its_cpus(resources, expected):
    assert hours_per_worker_second(ResourcesConfig.model_validate(resources)) == expected


def test_the_mean_epoch_and_what_is_left_follow_from_the_ledger():
    ledger = Ledger(120.0, 8, {"t0001@whole": 5, "t0002@3": 2})
    assert (ledger.seconds_per_epoch, ledger.epochs_left) == (15.0, 7)


def test_before_the_first_epoch_nothing_is_known_of_its_length():
    assert Ledger().seconds_per_epoch == 0
    assert spent_up(budget(cpu_hours=0.001), Ledger(), epochs_ahead=1000) is None


def test_without_a_budget_nothing_is_spent_up():
    assert spent_up(budget(), Ledger(1e9, 1), wall_seconds=1e9, epochs_ahead=1e9) is None


@pytest.mark.parametrize(
    ("epochs", "fits"), [(49, True), (50, True), (51, False)], ids=["less", "just so", "more"]
)
@pytest.mark.parametrize("part", ["running", "epochs_ahead", "reserved_epochs"])
def test_what_runs_starts_and_is_reserved_counts_against_the_hours(part, epochs, fits):
    # 1.5 hours with an hour spent leave half an hour: 50 epochs.
    ledger, options = Ledger(**HOUR), {}
    if part == "running":
        ledger.running["a"] = epochs
    else:
        options[part] = epochs
    assert (spent_up(budget(cpu_hours=1.5), ledger, **options) is None) is fits


def test_all_three_together_count_against_the_hours():
    ledger = Ledger(**HOUR, running={"a": 20})
    assert spent_up(budget(cpu_hours=1.5), ledger, epochs_ahead=20, reserved_epochs=10) is None
    assert spent_up(budget(cpu_hours=1.5), ledger, epochs_ahead=20, reserved_epochs=11) is not None


def test_a_quarter_of_a_gpu_makes_the_hours_last_four_times_as_long():
    ledger = Ledger(4 * 3600.0, 100)  # one GPU-hour
    of = budget({"gpus_per_worker": 0.25}, gpu_hours=1.5)
    assert spent_up(of, ledger, epochs_ahead=50) is None
    assert spent_up(of, ledger, epochs_ahead=51) is not None


def test_spent_hours_are_said_with_the_limit():
    assert spent_up(budget(cpu_hours=1.25), Ledger(**HOUR), epochs_ahead=26) == (
        "budget: 1 of 1.25 cpu_hours are spent, the rest is not enough for another one"
    )


@pytest.mark.parametrize(("epochs", "fits"), [(25, True), (26, False)])
def test_a_schedule_that_would_end_after_the_wall_clock_is_not_begun(epochs, fits):
    # 45 of 60 minutes have passed; 25 epochs of 36 s take the other 15.
    of = budget(wall_clock="60min")
    found = spent_up(of, Ledger(**HOUR), wall_seconds=45 * 60, epochs_ahead=epochs)
    assert (found is None) is fits


def test_the_longest_schedule_that_runs_sets_the_end_by_the_clock():
    ledger = Ledger(**HOUR, running={"a": 26, "b": 3})
    assert spent_up(budget(wall_clock="60min"), ledger, wall_seconds=45 * 60) is not None


@pytest.mark.parametrize(
    ("slots", "reserved", "fits"), [(1, 15, True), (1, 16, False), (2, 30, True), (2, 31, False)]
)
def test_the_reserve_is_trained_in_all_slots_at_a_time(slots, reserved, fits):
    # 25 epochs fit after 45 of 60 minutes, 10 of them begin now: 15 are left for the reserve.
    found = spent_up(
        budget(wall_clock="60min"), Ledger(**HOUR),
        wall_seconds=45 * 60, epochs_ahead=10, reserved_epochs=reserved, slots=slots,
    )  # fmt: skip
    assert (found is None) is fits


def test_two_workers_take_half_the_time_by_the_clock():
    # An epoch's 36 worker-seconds are 18 s for two: 50 epochs in 15 minutes.
    of = budget({"workers_per_trial": 2}, wall_clock="60min")
    assert spent_up(of, Ledger(**HOUR), wall_seconds=45 * 60, epochs_ahead=50) is None
    assert spent_up(of, Ledger(**HOUR), wall_seconds=45 * 60, epochs_ahead=51) is not None


def test_the_clock_is_said_with_its_limit():
    found = spent_up(budget(wall_clock="30min"), Ledger(), wall_seconds=31 * 60)
    assert found == (
        "budget: 31.0 minutes of wall_clock 30min have passed, the rest is not enough for "
        "another one"
    )


@pytest.mark.parametrize(
    ("metric", "best", "reached"),
    [
        ("val_accuracy", 0.97, False), ("val_accuracy", 0.98, True), ("val_accuracy", 0.99, True),
        ("val_loss", 0.99, False), ("val_loss", 0.98, True), ("val_loss", 0.5, True),
        ("val_accuracy", None, False),
    ],
)  # fmt: skip
def test_a_target_is_reached_from_the_objective_s_side(metric, best, reached):
    of = budget(objective={"metric": metric}, target=0.98)
    assert of.has_reached_target(best) is reached
    assert (of.satisfied(best, 0) is not None) is reached


@pytest.mark.parametrize(("since", "satisfied"), [(4, False), (5, True)])
def test_so_many_trials_without_improvement_are_enough(since, satisfied):
    assert (budget(no_improvement=5).satisfied(0.5, since) is not None) is satisfied
