"""What one sees while a sweep runs: a live panel on a terminal, dated lines elsewhere.

Everything goes to stderr; stdout belongs to the answer.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.answer.results import SweepResult, read_result
from sweeps.record import TrialRecord, TrialStatus
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder

if TYPE_CHECKING:  # it needs Optuna, which `--help` does not wait for
    from sweeps.forecast import Forecast

HEARTBEAT_SECONDS = 60.0
REFRESHES_PER_SECOND = 2.0
COUNTED: tuple[TrialStatus, ...] = (
    "completed", "paused", "stopped_early", "infeasible", "duplicate", "failed", "running",
    "pending",
)  # fmt: skip


class Display:
    """Told of every event by the driver; this one shows nothing."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.forecast: Forecast | None = None
        """Says how long the sweep still takes; the driver knows, once it trains."""

    @contextmanager
    def following(self, folder: SweepFolder, sweep: Sweep) -> Iterator[None]:
        """Show the sweep while the block runs."""
        yield

    def line(self, text: str) -> None:
        """Say something that is no trial's event."""
        self.console.print(text, markup=False, highlight=False)

    def started(self, record: TrialRecord) -> None:
        """A trial was given to a gang."""

    def epoch(self, record: TrialRecord, metrics: dict[str, Any]) -> None:
        """A trial has completed an epoch."""

    def ended(self, record: TrialRecord, metrics: dict[str, Any]) -> None:
        """A trial has ended; ``metrics`` are its last epoch's, empty if it had none."""


class Lines(Display):
    """One dated line per event, and a heartbeat each minute: for logs and pipes."""

    @contextmanager
    def following(self, folder: SweepFolder, sweep: Sweep) -> Iterator[None]:
        """Show the sweep while the block runs."""
        self._metric = sweep.spec.objective.metric
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_SECONDS):
                self.line(_summary(read_result(folder, sweep), sweep, str(self.forecast or "")))

        heart = threading.Thread(target=beat, name="heartbeat", daemon=True)
        heart.start()
        trials = _trials(read_result(folder, sweep), sweep) or "as many as the budget allows"
        self.line(f"sweep {folder.name}: {trials} trials, {folder.place}")
        try:
            yield
        finally:
            done.set()
            heart.join()

    def line(self, text: str) -> None:
        """One line, dated to the second, local time."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        self.console.print(f"{now} {text}", markup=False, highlight=False, soft_wrap=True)

    def started(self, record: TrialRecord) -> None:
        """A trial was given to a gang."""
        self.line(f"{record.name}: started{_of_rung(record)}")

    def epoch(self, record: TrialRecord, metrics: dict[str, Any]) -> None:
        """A trial has completed an epoch."""
        self.line(
            f"{record.id}: epoch {metrics['epoch']}/{metrics['num_epochs']} "
            f"train_loss={metrics['train_loss']:.4f} {self._metric}={metrics[self._metric]:.4f} "
            f"{metrics['images_per_second']:.0f} images/s"
        )

    def ended(self, record: TrialRecord, metrics: dict[str, Any]) -> None:
        """A trial has ended."""
        value = f" {self._metric}={metrics[self._metric]:.4f}" if metrics else ""
        reason = f" ({record.reason})" if record.reason else ""
        status = record.status if record.status != "paused" else f"ended{_of_rung(record)}"
        self.line(f"{record.id}: {status}{reason}{value}")


def _of_rung(record: TrialRecord) -> str:
    return "" if record.rung is None else f" a schedule of {record.rung}ep"


class LivePanel(Display):
    """A panel that stays in place: budget, counts, best against the recipe, running trials."""

    @contextmanager
    def following(self, folder: SweepFolder, sweep: Sweep) -> Iterator[None]:
        """Show the sweep while the block runs."""
        self._running: dict[str, tuple[TrialRecord, dict[str, Any]]] = {}
        self._result = read_result(folder, sweep)
        self._folder, self._sweep = folder, sweep
        self._is_stale, self._next_reading = False, 0.0
        self._started = time.monotonic() - self._result.state.wall_seconds
        with Live(
            get_renderable=self._render,
            console=self.console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
        ):
            yield

    def started(self, record: TrialRecord) -> None:
        """A trial was given to a gang."""
        self._running[record.id] = (record, {})
        self._is_stale = True

    def epoch(self, record: TrialRecord, metrics: dict[str, Any]) -> None:
        """A trial has completed an epoch."""
        self._running[record.id] = (record, metrics)

    def ended(self, record: TrialRecord, metrics: dict[str, Any]) -> None:
        """A trial has ended."""
        self._running.pop(record.id, None)
        self._is_stale = True

    def _refresh(self) -> None:
        """Read the sweep's folder again, which takes the longer the more trials there are."""
        now = time.monotonic()
        if self._is_stale and now > self._next_reading:
            self._is_stale = False
            self._result = read_result(self._folder, self._sweep)
            self._next_reading = now + 10 * (time.monotonic() - now)

    def _render(self) -> RenderableType:
        self._refresh()
        trials = _trials(self._result, self._sweep)
        ended = sum(
            row.record.was_trained and (row.record.ended or row.record.status == "paused")
            for row in self._result.rows
        )
        seconds = time.monotonic() - self._started
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=trials, completed=ended, width=30, pulse=trials is None),
            f"{ended}/{trials or 'open'} trials",
            f"{int(seconds // 60)}:{int(seconds % 60):02d}",
        )
        for share in self.forecast.shares if self.forecast is not None else ():
            head.add_row(
                ProgressBar(total=share.limit, completed=share.spent, width=30), str(share)
            )
        running = Table.grid(padding=(0, 2))
        for record, metrics in list(self._running.values()):
            running.add_row(escape(record.name), *self._progress(record, metrics))
        to_go = "" if self.forecast is None else self.forecast.to_go
        body = Group(head, Text(_summary(self._result, self._sweep, to_go)), Text(), running)
        return Panel(body, title=escape(self._folder.name), title_align="left", expand=True)

    def _progress(self, record: TrialRecord, metrics: dict[str, Any]) -> list[str]:
        """Rung, epoch, objective, accuracy (if that is not the objective), and speed."""
        rung = "whole schedule" if record.rung is None else f"rung {record.rung}ep"
        if not metrics:
            return [rung, "first epoch"]
        shown = dict.fromkeys([self._result.objective.metric, "val_accuracy"])
        return [
            rung,
            f"epoch {metrics['epoch']}/{metrics['num_epochs']}",
            *(f"{name} {metrics[name]:.4f}" for name in shown),
            f"{metrics['images_per_second']:.0f} images/s",
        ]


def display_for(console: Console) -> Display:
    """A live panel if the console is a terminal, else dated lines."""
    return LivePanel(console) if console.is_terminal else Lines(console)


def _summary(result: SweepResult, sweep: Sweep, forecast: str) -> str:
    counts = ", ".join(
        f"{number} {status.replace('_', ' ')}"
        for status in COUNTED
        if (number := result.count(status))
    )
    metric = result.objective.metric
    best, baseline = result.best, result.baseline
    trials = "" if sweep.num_trials is None else f" of {_trials(result, sweep)}"
    parts = [f"{counts or 'starting'}{trials}"]
    if best is not None:
        parts.append(f"best {metric} {best.value:.4f} ({best.record.id})")
    if baseline is not None:
        parts.append(f"recipe {baseline.value:.4f}")
    if result.confirmations:
        parts.append(f"{sum(one.ended for one in result.confirmations)} trainings to confirm")
    if forecast:
        parts.append(forecast)
    return "; ".join(parts)


def _trials(result: SweepResult, sweep: Sweep) -> int | None:
    """How many the search trains in all; None where only a budget ends it."""
    return None if sweep.num_trials is None else sweep.num_trials + result.state.extra_trials
