"""How the benchmarks make figures and tables of what they have measured; nothing is timed."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import loop_task
from benchmarks.feed_page import times
from benchmarks.loop_growth import law
from benchmarks.loop_page import verdict
from benchmarks.loop_task import Clock
from benchmarks.markdown import table
from benchmarks.packed_accuracy import mean_and_interval
from benchmarks.performance import page
from benchmarks.results import write_result
from benchmarks.scale_fit import exponent
from benchmarks.spread import spread


@pytest.mark.parametrize(("power", "factor"), [(0, 7), (1, 3), (2, 0.5)])
def test_the_exponent_is_that_of_the_power_law(power, factor):
    sizes = [1, 4, 16, 64]
    costs = [factor * size**power for size in sizes]
    assert exponent(sizes, costs) == pytest.approx(power, abs=1e-12)


def test_the_spread_of_five_values_is_its_quartiles():
    found = spread([5, 1, 4, 2, 3])
    assert (found.least, found.low, found.median, found.high) == (1, 2, 3, 4)
    assert found.text(1) == "3.0 (2.0 to 4.0)"


def test_one_value_is_its_own_spread():
    assert spread([3.0]).text() == "3 (3 to 3)"


def test_nothing_has_no_spread():
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])


def one_round(cost: float) -> dict[str, float]:
    return {"above_cpu": cost}


@pytest.mark.parametrize(
    ("bare", "cost", "expected"),
    [
        (3.0, 52.0, "met"), (3.0, 54.0, "not met here"), (80.0, 90.0, "not decided"),
        (-3.0, 48.0, "not met here"),
    ],
)  # fmt: skip
def test_a_promise_is_measured_from_a_bare_loop_and_not_decided_where_that_costs_much(
    bare, cost, expected
):
    sides = {"bare": [one_round(bare)], "fit, training top-1": [one_round(cost)]}
    assert verdict(sides).startswith(expected)


def test_a_clock_that_missed_a_step_gives_no_figure():
    clock = Clock(1, 3)
    clock.mark(1)
    clock.mark(3)
    with pytest.raises(RuntimeError, match="2 steps were seen instead of 3"):
        clock.microseconds()


def test_a_step_is_compared_with_the_bare_one_before_it(monkeypatch):
    # Marks read the clocks before and after the bare step: bare 10, 30, 20; steps 50 and 35.
    readings = iter([0, 10, 60, 90, 125, 145])
    monkeypatch.setattr(loop_task, "_clocks", lambda: (1000 * next(readings),) * 2)
    clock = Clock(0, 2, beside=lambda step: None)
    for step in range(3):
        clock.mark(step)
    found = clock.microseconds()
    assert (found["cpu"], found["bare_cpu"]) == (42.5, 20)
    assert found["above_cpu"] == (50 - 10 + 35 - 30) / 2


def test_a_law_is_fitted_only_to_costs_above_zero():
    assert law([1, 10, 100], [5.0, 50.0, 500.0]) == "1.00"
    assert law([1, 10, 100], [5.0, -1.0, 500.0]) == "none"


def test_a_way_is_as_many_times_as_fast_as_the_reference_by_their_medians():
    rates = {"ours": {"cpu": [90.0, 100.0, 400.0]}, "theirs": {"cpu": [20.0, 25.0, 26.0]}}
    assert times(rates, "ours", "theirs") == 4


def test_of_five_seeds_the_interval_is_students():
    # Deviation of 1 to 5 is sqrt(2.5), its error sqrt(2.5 / 5); t(0.975, 4) = 2.776445 (tables).
    mean, half = mean_and_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (mean, half) == (3.0, pytest.approx(2.776445 * 0.5**0.5, abs=1e-5))


def test_a_table_lines_up_numbers_on_the_right():
    assert table(["loop", "us"], [["bare", "1"]]) == "| loop | us |\n| :-- | --: |\n| bare | 1 |"


def test_a_part_without_a_result_says_how_to_get_one(tmp_path):
    text = page(tmp_path)
    assert "Not measured yet: loop (`make bench-loop`)." in text
    assert "Not measured yet: gpu (`make bench-gpu`)." in text


def overheads(trials: int, ratio: float) -> dict[str, Any]:
    return {
        "trials": trials, "slots": 2, "sweep_seconds": 1.0, "bare_seconds": [1.0],
        "ideal_seconds": 1.0, "ratio": ratio,
    }  # fmt: skip


def test_a_part_that_was_not_measured_anew_stays_and_one_cut_short_takes_no_whole_ones_place(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", SimpleNamespace(name="some.command"))
    write_result("sweep_overhead", overheads(200, 1.05), versions={}, folder=tmp_path / "first")
    write_result("sweep_overhead_short", overheads(5, 1.5), versions={}, folder=tmp_path / "second")
    short = page(tmp_path / "second", page(tmp_path / "nothing"))
    assert "takes 1.500" in short
    assert "not decided by a run that is cut short" in short
    first = page(tmp_path / "first", short)
    assert "takes 1.050" in first
    assert "1.500" not in first
    assert page(tmp_path / "second", first) == first
