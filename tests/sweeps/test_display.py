"""What the panel and the dated lines say of a sweep, on a console that keeps what it is told."""

import io
import re
import threading
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from sweeps import display
from sweeps.display import Display, Lines, LivePanel, display_for
from sweeps.forecast import Forecast
from sweeps.record import TrialRecord
from tests.sweeps.simulation import RANDOM, Driver, begin, quick_disk, write_sweep

POINT: dict[str, Any] = {
    "epoch": 2, "num_epochs": 3, "train_loss": 0.75, "val_loss": 1.5, "val_accuracy": 0.625,
    "images_per_second": 345.6,
}  # fmt: skip
RUNNING = TrialRecord(7, "t0007 lr=0.8", "7" * 64, {}, status="running", rung=3)


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)


def said(shown: Display) -> str:
    assert isinstance(shown.console.file, io.StringIO)
    return shown.console.file.getvalue()


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """A sweep of twelve trials of which three have completed: its driver, near the middle."""
    quick_disk(monkeypatch)

    def swept(text: str = RANDOM) -> Driver:
        sweep, folder = write_sweep(tmp_path, text), begin(tmp_path / "s")
        driver = Driver(sweep, folder, seconds=60.0)
        driver.run(3)
        return driver

    return swept


def panel_of(driver: Driver, *records: TrialRecord, **points: Any) -> str:
    """The panel's last picture, once these trials were started and have had these epochs."""
    shown = LivePanel(console(terminal=True))
    shown.forecast = Forecast(
        driver.sweep,
        driver.memory,
        epochs_to_come=lambda: 9 * 9.0,
        slots=1,
        wall_seconds=lambda: 90.0,
    )
    with shown.following(driver.folder, driver.sweep):
        for record in records:
            shown.started(record)
            if record.id in points:
                shown.epoch(record, points[record.id])
        shown.console.print(shown._render())
    return said(shown)


# ---- the panel -----------------------------------------------------------------------------------


def test_a_running_trial_has_a_line_with_rung_epoch_accuracy_and_speed(swept):
    (line,) = re.findall("t0007.*", panel_of(swept(), RUNNING, t0007=POINT))[-1:]
    assert re.split(r"  +", line.strip(" │")) == [
        "t0007 lr=0.8", "rung 3ep", "epoch 2/3", "val_accuracy 0.6250", "346 images/s",
    ]  # fmt: skip


def test_a_trial_in_its_whole_schedule_says_so_before_its_first_epoch_too(swept):
    whole = replace(RUNNING, rung=None)
    (line,) = re.findall("t0007.*", panel_of(swept(), whole))[-1:]
    assert re.split(r"  +", line.strip(" │")) == ["t0007 lr=0.8", "whole schedule", "first epoch"]


def test_the_accuracy_is_shown_beside_another_objective(swept):
    driver = swept(f"objective: {{metric: val_loss}}\n{RANDOM}")
    assert "val_loss 1.5000  val_accuracy 0.6250" in panel_of(driver, RUNNING, t0007=POINT)


def test_a_trial_that_has_ended_has_no_line(swept):
    driver = swept()
    shown = LivePanel(console(terminal=True))
    with shown.following(driver.folder, driver.sweep):
        shown.started(RUNNING)
        shown.ended(RUNNING, POINT)
        shown.console.print(shown._render())
    assert "t0007" not in said(shown)


def test_the_panel_counts_by_status_and_sets_the_best_against_the_recipe(swept):
    driver = swept()
    values = {record.id: driver.memory.last_value(record) for record in driver.memory.completed}
    best = next(iter(values))
    text = panel_of(driver)
    assert "3/12 trials" in text
    assert f"3 completed of 12; best val_accuracy {values[best]:.4f} ({best})" in text
    assert f"recipe {values['t0000']:.4f}" in text


def test_the_panel_tells_when_the_sweep_will_end(swept):
    # 81 epochs to come of 60 s each: 81 minutes.
    assert "about 81 min to go" in panel_of(swept())


def test_each_limit_on_time_has_a_bar(swept):
    text = panel_of(swept(f"{RANDOM}budget: {{cpu_hours: 0.9, wall_clock: 30min}}\n"))
    # 3 trials of 9 epochs of 60 s on one CPU are 0.45 hours; 90 s are 1.5 minutes.
    lines = [line.strip(" │") for line in text.splitlines() if "━" in line]
    assert [re.split(r"  +", line)[1] for line in lines[-3:]] == [
        "3/12 trials", "0.45 of 0.9 cpu_hours", "1.50 of 30 minutes",
    ]  # fmt: skip


# ---- the lines -----------------------------------------------------------------------------------


def test_without_a_terminal_every_event_is_a_line_with_its_date(swept):
    driver = swept()
    shown = display_for(console(terminal=False))
    assert isinstance(shown, Lines)
    with shown.following(driver.folder, driver.sweep):
        shown.started(RUNNING)
        shown.epoch(RUNNING, POINT)
        shown.ended(replace(RUNNING, status="failed", reason="nan"), {})
    assert "\r" not in said(shown)
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d "
    lines = said(shown).splitlines()
    assert all(re.match(stamp, line) for line in lines)
    assert [re.sub(stamp, "", line) for line in lines[1:]] == [
        "t0007 lr=0.8: started a schedule of 3ep",
        "t0007: epoch 2/3 train_loss=0.7500 val_accuracy=0.6250 346 images/s",
        "t0007: failed (nan)",
    ]


def test_without_a_terminal_the_heart_beats(swept, monkeypatch):
    driver = swept()
    monkeypatch.setattr(display, "HEARTBEAT_SECONDS", 0.001)
    shown, beaten = Lines(console(terminal=False)), threading.Event()
    tell = shown.line

    def line(text: str) -> None:
        tell(text)
        if text.startswith("3 completed of 12; best"):
            beaten.set()

    monkeypatch.setattr(shown, "line", line)
    with shown.following(driver.folder, driver.sweep):
        assert beaten.wait(60)
