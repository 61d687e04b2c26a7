"""docs/scale.md and its figure, from what `benchmarks.scale` has measured."""

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from benchmarks.scale_fit import exponent

_TEXT = """\
# Scale

What the platform itself costs as trials and workers grow. Nothing worth the name is trained, so
that only driver, exchange and tracker are seen. Printed and drawn by `make bench-scale`:
{machine}.

![Growth of the costs](scale.png)

## Driver

A sweep of {trials} trials of one epoch of four steps, one at a time, `tpe`, mirrored to MLflow in a
database. CPU time of the driver's process between one line and the one before it: deciding, writing
down, showing, mirroring.

{driver}

Growth of the CPU time with the number of trials: exponent {driver_exponent:.2f} of a power law
(0: each trial costs the same).

## Exchange

Every worker reports each epoch to one actor on the driver's node and waits for the verdict.
Simulated workers, which do nothing else, all from one other process; in gangs of one, then in gangs
of eight.

{reports}

With real epochs the load is workers / seconds of an epoch: 256 workers with epochs of 10 s are 26
reports/s, {share:.1f} % of what 256 simulated ones reach here.

## Tracker

One thread of the driver mirrors every trial to MLflow, here a database. CPU time per trial when
{epochs} epochs of it are new and its run is created, when one more epoch is, and when it has ended.

{tracker}

## What gives out first

{bottleneck}
"""
_SO_MANY_MS = 1000.0


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["--:"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(found: dict[str, Any], machine: str) -> str:
    """The text of docs/scale.md."""
    driver, reports, tracker = found["driver"], found["reports"], found["tracker"]
    widest = max(reports["alone"], key=lambda one: one["workers"])
    sizes = [one["trials"] for one in driver]
    return _TEXT.format(
        machine=machine,
        trials=sizes[-1],
        driver=_table(
            ["trials", "CPU ms per trial", "trials/s", "driver's memory, MB"],
            [[f"{one['trials']}", f"{one['cpu_ms']:.0f}", f"{one['per_second']:.1f}",
              f"{one['rss_mb']:.0f}"] for one in driver],
        ),
        driver_exponent=exponent(sizes, [one["cpu_ms"] for one in driver]),
        reports=_table(
            ["workers", "gangs", "reports/s", "exchange, CPU ms per report", "verdict, median ms",
             "slowest ms"],
            [[f"{one['workers']}", f"{one['gangs']}", f"{one['reports_per_second']:.0f}",
              f"{one['exchange_cpu_ms']:.2f}", f"{one['median_ms']:.1f}",
              f"{one['slowest_ms']:.0f}"] for one in [*reports["alone"], *reports["groups"]]],
        ),
        share=100 * 25.6 / widest["reports_per_second"],
        epochs=found["tracker_epochs"],
        tracker=_table(
            ["trials", "new, ms", "one more epoch, ms", "ended, ms"],
            [[f"{one['trials']}", f"{one['new_ms_per_trial']:.1f}",
              f"{one['epoch_ms_per_trial']:.1f}", f"{one['end_ms_per_trial']:.1f}"]
             for one in tracker],
        ),
        bottleneck=_bottleneck(found),
    )  # fmt: skip


def _bottleneck(found: dict[str, Any]) -> str:
    """With every simulated worker a trial of its own: which part is busy all the time, and when."""
    reports = max(found["reports"]["alone"], key=lambda one: one["workers"])
    tracker = min(found["tracker"], key=lambda one: abs(one["trials"] - reports["workers"]))
    workers = reports["workers"]
    parts = [
        (
            workers * tracker["epoch_ms_per_trial"] / _SO_MANY_MS,
            "the tracker, one thread of the driver",
            "then points arrive later in MLflow, and no training waits",
        ),
        (
            workers / reports["reports_per_second"],
            "the exchange, one process",
            "then workers wait for their verdicts",
        ),
    ]
    (first, what, follows), (second, other, then) = sorted(parts, reverse=True)
    trial_ms = found["driver"][-1]["cpu_ms"]
    return (
        f"With {workers} trials at a time, of one worker each, the first to be busy all the time "
        f"is {what}:\nwhen epochs are shorter than {first:.1f} s; {follows}.\n"
        f"It is followed by {other}, below {second:.2f} s an epoch; {then}.\n"
        f"A driver that takes {trial_ms:.0f} ms of a core per trial ends at most "
        f"{_SO_MANY_MS / trial_ms:.0f} trials a second."
    )


def picture(found: dict[str, Any], file: Path) -> None:
    """Draw the three costs over what they grow with, both axes logarithmic."""
    figure = make_subplots(
        cols=3, subplot_titles=("driver, per trial", "exchange, per report", "tracker, per trial")
    )

    def draw(column: int, rows: list[dict[str, Any]], x: str, y: str, name: str) -> None:
        slope = exponent([one[x] for one in rows], [one[y] for one in rows])
        trace = go.Scatter(
            x=[one[x] for one in rows], y=[one[y] for one in rows], mode="lines+markers",
            name=f"{name}: exponent {slope:.2f}",
        )  # fmt: skip
        figure.add_trace(trace, row=1, col=column)

    draw(1, found["driver"], "trials", "cpu_ms", "driver")
    draw(2, found["reports"]["alone"], "workers", "exchange_cpu_ms", "gangs of one")
    draw(2, found["reports"]["groups"], "workers", "exchange_cpu_ms", "gangs of eight")
    for key, name in (
        ("new_ms_per_trial", "new"), ("epoch_ms_per_trial", "one more epoch"),
        ("end_ms_per_trial", "ended"),
    ):  # fmt: skip
        draw(3, found["tracker"], "trials", key, name)
    # Written out: plotly would leave the zeros of 200 and 500 away.
    ticks = [digit * 10**power for power in range(4) for digit in (1, 2, 5)]
    figure.update_xaxes(type="log", tickvals=ticks)
    figure.update_yaxes(type="log", tickvals=ticks)
    for column, title in enumerate(("trials so far", "workers", "trials that run"), start=1):
        figure.update_xaxes(title=title, row=1, col=column)
    figure.update_yaxes(title="CPU ms", row=1, col=1)
    figure.update_layout(
        template="plotly_white", width=1100, height=420, legend={"orientation": "h", "y": -0.25},
    )  # fmt: skip
    figure.write_image(file, scale=1.5)
