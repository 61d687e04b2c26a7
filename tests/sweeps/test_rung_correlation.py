import math
from typing import Any

import pytest

from sweeps.answer.results import read_result
from sweeps.answer.rung_correlation import RungCorrelation, rung_correlations
from sweeps.record import TrialRecord, TrialStatus
from tests.sweeps.simulation import (
    RECIPE,
    STRETCH,
    TRUNCATE,
    Driver,
    begin,
    quick_disk,
    write_sweep,
)


@pytest.fixture
def correlations(tmp_path):
    def correlations(text: str, records, histories, **options) -> list[RungCorrelation]:
        sweep = write_sweep(tmp_path, f"search: {{trials: 9}}\n{text}", **options)
        return rung_correlations(sweep, records, histories)

    return correlations


def trial(index: int, *rungs: float, status: TrialStatus = "paused") -> TrialRecord:
    ended = [{"epochs": epochs, "value": value} for epochs, value in zip((1, 3), rungs)]  # noqa: B905
    return TrialRecord(index, "", "", {}, status=status, rungs=ended)


def rounded(found: list[RungCorrelation]) -> list[tuple]:
    """Epochs, next epochs, value and trials of each; the value is a float's rounding off."""
    return [
        (o.epochs, o.next_epochs, o.value if o.value is None else round(o.value, 9), o.num_trials)
        for o in found
    ]


def history(*values: float) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "num_epochs": 9, "val_accuracy": value}
        for epoch, value in enumerate(values, start=1)
    ]


def test_complete_schedules_are_compared_rung_by_rung_up_to_the_whole_one(correlations):
    # Of the four that reached rung 3, ranks 1 2 3 4 became 1 2 4 3:
    # 1 - 6 * (1 + 1) / (4 * 15) = 0.8. The two that went on kept their order.
    records = [
        trial(1, 0.1, 0.5), trial(2, 0.2, 0.6), trial(3, 0.3, 0.8, status="completed"),
        trial(4, 0.4, 0.7, status="completed"), trial(5, 0.05),
    ]  # fmt: skip
    histories = {index: [] for index in range(1, 6)}
    histories |= {3: history(*[0.1] * 8, 0.9), 4: history(*[0.9] * 8, 0.8)}
    assert rounded(correlations(STRETCH, records, histories)) == [(1, 3, 0.8, 4), (3, 9, 1.0, 2)]


def test_the_middle_of_a_whole_schedule_is_no_rung_of_a_stretched_one(correlations):
    histories = {0: history(*[0.5] * 9)}
    found = correlations(STRETCH, [trial(0, status="completed")], histories)
    assert [one.num_trials for one in found] == [0, 0]
    assert [one.value for one in found] == [None, None]


def test_truncated_schedules_are_compared_on_their_way(correlations):
    # Orders 1 2 3 and 3 2 1: -1. One ended at rung 3, the others' last epochs agree with it.
    histories = {
        1: history(0.1, 0, 0.9), 2: history(0.2, 0, 0.8, *[0] * 5, 0.8),
        3: history(0.3, 0, 0.7, *[0] * 5, 0.7),
    }  # fmt: skip
    records = [trial(1, status="stopped_early")]
    records += [trial(index, status="completed") for index in (2, 3)]
    found = rounded(correlations(TRUNCATE, records, histories))
    assert found == [(1, 3, -1.0, 3), (3, 9, 1.0, 2)]


def test_a_truncated_schedule_has_every_rung_before_its_end(correlations):
    # 1, 3 and 9 of 10; complete schedules leave out the 9, which saves too little.
    recipe = RECIPE.replace("9ep", "10ep")
    found = correlations(TRUNCATE, [], {}, recipe=recipe)
    assert [(one.epochs, one.next_epochs) for one in found] == [(1, 3), (3, 9), (9, 10)]
    found = correlations(STRETCH, [], {}, recipe=recipe)
    assert [(one.epochs, one.next_epochs) for one in found] == [(1, 3), (3, 10)]


def test_median_stopping_has_one_rung_its_grace_period(correlations):
    found = correlations("early_stopping: {median: {grace_period: 4ep}}\n", [], {})
    assert [(one.epochs, one.next_epochs) for one in found] == [(4, 9)]


def test_an_epoch_that_was_not_the_schedule_s_last_is_no_final_score(correlations):
    histories = {1: history(*[0.5] * 8), 2: history(*[0.6] * 9)}
    records = [trial(1, 0.1, 0.2, status="failed"), trial(2, 0.2, 0.3, status="completed")]
    assert correlations(STRETCH, records, histories)[1].num_trials == 1


@pytest.mark.parametrize(
    "text", ["early_stopping: null\n", "early_stopping: {pbt: {perturbation_interval: 2ep}}\n"]
)
def test_where_nothing_has_rungs_there_is_nothing_to_compare(correlations, text):
    assert correlations(text, [], {}) == []


def test_rungs_that_no_trial_of_the_recipe_s_length_has_are_not_compared(correlations):
    # The grace period lies behind the recipe's end, and before that of longer trials.
    space = "space:\n  max_duration: {choice: [9ep, 40ep]}\n"
    rule = "early_stopping: {asha: {grace_period: 12ep}}\n"
    assert correlations(rule, [], {}, space=space) == []
    truncated = rule.replace("{asha", "{fidelity: truncate, asha")
    assert correlations(truncated, [], {}, space=space) == []


def test_the_result_of_a_sweep_carries_them(tmp_path, monkeypatch):
    quick_disk(monkeypatch)
    sweep = write_sweep(tmp_path, f"search: {{algorithm: random, trials: 12}}\n{STRETCH}")
    driver = Driver(sweep, begin(tmp_path / "a"))
    driver.run()
    found = read_result(driver.folder, sweep).to_dict()["rank_correlations"]
    # Every schedule ranks as the others do: by the distance of the rate from 1. Of 11 trials at
    # rung 1 at least 11 // 3 = 3 went on.
    assert [(one["epochs"], one["next_epochs"]) for one in found] == [(1, 3), (3, 9)]
    assert found[0]["value"] == pytest.approx(1.0)
    assert found[0]["num_trials"] >= 3


def test_a_trial_that_diverged_is_left_out(correlations):
    records = [trial(i, value, later) for i, (value, later) in enumerate(
        [(0.1, 0.5), (0.2, 0.7), (0.3, 0.6), (0.4, 0.9), (math.nan, 0.1)]
    )]  # fmt: skip
    # Ranks 1 2 3 4 and 1 3 2 4: 1 - 6 * 2 / (4 * 15).
    assert rounded(correlations(STRETCH, records, {i: [] for i in range(5)}))[0] == (1, 3, 0.8, 4)


def test_a_rung_that_foretells_the_next_is_told_without_a_word_more():
    assert RungCorrelation(2, 27, 0.8, 40).text == (
        "Rank correlation of 2 with 27 epochs: 0.80 (40 trials reached both)"
    )
    assert "epochs: not defined (1 trials" in RungCorrelation(1, 3, None, 1).text


@pytest.mark.parametrize(("value", "num_trials", "says"), [
    (0.49, 10, True), (0.5, 10, False), (0.1, 9, False), (None, 20, False),
])  # fmt: skip
def test_a_rung_that_foretells_little_says_stop_later(value, num_trials, says):
    text = RungCorrelation(1, 9, value, num_trials).text
    assert text.endswith("stop later (grace_period)") is says
