"""Learning curves, and what each trial took to get where it got."""

from collections.abc import Iterable

import plotly.graph_objects as go

from sweeps.answer.pareto import pareto_front
from sweeps.answer.results import TrialRow
from sweeps.figures.found import Curve, Found
from sweeps.figures.style import FAILED, RECIPE, STOPPED, TRIAL, WINNER, finish, rounded


def learning_curves(found: Found) -> go.Figure | None:
    """The objective after each epoch, of every schedule that was trained.

    Returns:
        None as long as no epoch was trained.
    """
    if not found.curves:
        return None
    winner = found.result.winner
    kinds: dict[str, list[Curve]] = {
        "shorter schedules": [], "stopped early": [], "other trials": [], "winner": [],
        "recipe": [],
    }  # fmt: skip
    for curve in found.curves:
        if curve.row.record.index == 0:
            kinds["recipe"].append(curve)
        elif curve.rung is not None:
            kinds["shorter schedules"].append(curve)
        elif winner is not None and curve.row is winner:
            kinds["winner"].append(curve)
        elif curve.row.record.status == "stopped_early":
            kinds["stopped early"].append(curve)
        else:
            kinds["other trials"].append(curve)
    colours = dict(zip(kinds, (STOPPED, STOPPED, TRIAL, WINNER, RECIPE), strict=True))
    figure = go.Figure()
    for kind, curves in kinds.items():
        if curves:
            is_one = kind in ("winner", "recipe")
            figure.add_trace(
                _lines(curves, found.metric).update(
                    name=kind,
                    line={"color": colours[kind], "width": 3 if is_one else 1,
                          "dash": "dot" if kind == "shorter schedules" else "solid"},
                    opacity=1 if is_one else 0.55,
                )
            )  # fmt: skip
    stops = [c for c in found.curves if c.row.record.status == "stopped_early" and c.rung is None]
    ends = [*stops, *(curve for curve in found.curves if curve.rung is not None)]
    if ends:
        figure.add_trace(
            go.Scatter(
                x=[curve.points[-1]["epoch"] for curve in ends],
                y=[rounded(curve.points[-1][found.metric]) for curve in ends],
                text=[curve.row.record.name for curve in ends],
                mode="markers",
                marker={"symbol": "x-thin", "size": 7, "line": {"width": 2, "color": FAILED}},
                name="end of a rung, or stop",
                hovertemplate="%{text}<br>%{y} after %{x} epochs<extra></extra>",
            )
        )
    rungs = found.rungs
    for epochs in rungs:
        figure.add_vline(x=epochs, line={"dash": "dash", "width": 1, "color": STOPPED})
    better = "higher" if found.maximize else "lower"
    where = f" Dashed verticals are rungs, at {_listed(rungs)} epochs." if rungs else ""
    return finish(
        figure,
        f"{found.metric} while training",
        f"One line per schedule; {better} is better. Compare trials where their lines end: a "
        f"curve on its way ranks them by their learning rates.{where}",
        xaxis={"title": "epochs", "rangemode": "tozero"},
        yaxis={"title": found.metric},
    )


def accuracy_against_time(found: Found) -> go.Figure | None:
    """The objective of completed trials against the time that their training took.

    Returns:
        None as long as no trial has completed.
    """
    rows = [row for row in found.result.rows if row.rank is not None]
    if not rows:
        return None
    points = [[row.value or 0.0, _seconds(row)] for row in rows]
    front = pareto_front(points, [found.result.objective.mode, "min"])
    best = sorted((rows[index] for index in front), key=_seconds)
    winner = found.result.winner
    figure = go.Figure()
    figure.add_trace(
        _dots(best, "no other is better and faster").update(
            mode="lines", line={"color": WINNER, "width": 2, "dash": "dot"}, hoverinfo="skip"
        )
    )
    others = [row for row in rows if row.record.index != 0 and row is not winner]
    figure.add_trace(_dots(others, "trials").update(marker={"color": TRIAL, "size": 8}))
    if winner is not None and winner.record.index != 0 and winner in rows:
        figure.add_trace(
            _dots([winner], "winner").update(marker={"color": WINNER, "size": 15, "symbol": "star"})
        )
    recipe = [row for row in rows if row.record.index == 0]
    figure.add_trace(
        _dots(recipe, "recipe").update(marker={"color": RECIPE, "size": 13, "symbol": "diamond"})
    )
    side = "Up" if found.maximize else "Down"
    return finish(
        figure,
        f"{found.metric} against training time",
        f"{side} and to the left is better; the dotted line joins the trials that no other beats "
        "in both. With one seed each, small differences are luck. Trials that ran side by side on "
        "a machine slowed each other down.",
        xaxis={"title": "minutes of training, evaluation included", "rangemode": "tozero"},
        yaxis={"title": found.metric},
    )


def _seconds(row: TrialRow) -> float:
    return row.last["elapsed_seconds"]


def _dots(rows: list[TrialRow], name: str) -> go.Scatter:
    return go.Scatter(
        x=[rounded(_seconds(row) / 60) for row in rows],
        y=[rounded(row.value or 0) for row in rows],
        text=[row.record.name for row in rows],
        mode="markers",
        name=name,
        hovertemplate="%{text}<br>%{y} in %{x} min<extra></extra>",
    )


def _lines(curves: Iterable[Curve], metric: str) -> go.Scatter:
    """One trace for many lines, with gaps between them: hundreds of traces would be slow."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    names: list[str] = []
    for curve in curves:
        xs += [*(point["epoch"] for point in curve.points), None]
        ys += [*(rounded(point[metric]) for point in curve.points), None]
        names += [curve.row.record.name] * (len(curve.points) + 1)
    return go.Scatter(
        x=xs,
        y=ys,
        text=names,
        mode="lines",
        hovertemplate="%{text}<br>%{y} after %{x} epochs<extra></extra>",
    )


def _listed(numbers: list[int]) -> str:
    head, last = numbers[:-1], numbers[-1]
    return f"{', '.join(map(str, head))} and {last}" if head else str(last)
