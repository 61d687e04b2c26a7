"""What the varied keys do: every trial as a line, key by key, and how much each one matters."""

import math
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweeps.answer.results import TrialRow
from sweeps.figures.axes import varied_axes
from sweeps.figures.found import Found
from sweeps.figures.style import SCALE, TRIAL, colour_of, finish, rounded

MIN_TRIALS = 10
"""For an importance: of fewer trials it is mostly noise."""

_BEST_SHARE = 0.1
_COLUMNS = 3


def parallel_coordinates(found: Found) -> go.Figure | None:
    """Every trial with a value as a line over the varied keys.

    Returns:
        None with fewer than two such trials, or where nothing differs between them.
    """
    rows = _with_value(found)
    axes = varied_axes(found, rows)
    if len(rows) < 2 or not axes:
        return None
    values = [rounded(row.value or 0) for row in rows]
    dimensions = [
        {"label": axis.name, "values": axis.positions, "tickvals": axis.ticks,
         "ticktext": axis.texts}
        for axis in axes
    ]  # fmt: skip
    epochs = [row.epochs for row in rows]
    if len(set(epochs)) > 1:
        dimensions.append({"label": "epochs", "values": epochs})
    dimensions.append({"label": found.metric, "values": values})
    # Early stops with guessing models would leave one colour for all the others.
    low = sorted(values)[len(values) // 4 if found.maximize else 0]
    high = sorted(values)[-1 if found.maximize else -1 - len(values) // 4]
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={"color": values, "colorscale": SCALE, "reversescale": not found.maximize,
                  "cmin": low, "cmax": high, "showscale": True},
            labelangle=-12,
        )
    )  # fmt: skip
    return finish(
        figure,
        "Every trial over the varied keys",
        f"One line per trial, amber is good. Drag along an axis to keep the trials in between: "
        f"the best ones of {found.metric} show where the good values of each key lie. Trials with "
        "fewer epochs were stopped there and are not comparable with longer ones.",
        margin={"l": 70, "r": 50, "t": 110, "b": 40},
    )


def slices(found: Found) -> go.Figure | None:
    """The objective over each varied key, all trials that were trained equally long.

    Returns:
        None with fewer than two such trials, or where nothing differs between them.
    """
    epochs = found.widest_rung
    values = found.values_by_epochs.get(epochs, {}) if epochs is not None else {}
    rows = [row for row in found.result.rows if row.record.index in values]
    axes = varied_axes(found, rows)
    if len(rows) < 2 or not axes:
        return None
    num_rows = math.ceil(len(axes) / _COLUMNS)
    columns = min(_COLUMNS, len(axes))
    figure = make_subplots(num_rows, columns, shared_yaxes=True, horizontal_spacing=0.04,
                           vertical_spacing=0.25 / num_rows)  # fmt: skip
    winner = found.result.winner
    for number, axis in enumerate(axes):
        place: dict[str, Any] = {"row": number // _COLUMNS + 1, "col": number % _COLUMNS + 1}
        figure.add_trace(
            go.Scatter(
                x=axis.positions,
                y=[rounded(values[row.record.index]) for row in rows],
                text=[row.record.name for row in rows],
                mode="markers",
                marker={"color": [colour_of(row, winner) for row in rows],
                        "size": [12 if row.record.index == 0 else 7 for row in rows]},
                showlegend=False,
                hovertemplate="%{text}<br>%{y}<extra></extra>",
            ),
            **place,
        )  # fmt: skip
        figure.update_xaxes(title=axis.name, tickvals=axis.ticks, ticktext=axis.texts, **place)
    figure.update_yaxes(title=found.metric, col=1)
    recipe = "; the large one is the recipe" if rows[0].record.index == 0 else ""
    return finish(
        figure,
        "Key by key",
        f"Each point is a trial after {epochs} epochs{recipe}. A key that matters shows a slope or "
        "a hill; a best value at an edge says that the range was too narrow. Blue trials have "
        "trained their whole schedule, grey ones were stopped; green is the winner.",
        height=60 + 320 * num_rows,
    )


def importance(found: Found) -> go.Figure | None:
    """How much each key has decided between good and other trials, all trained equally long.

    PED-ANOVA, Watanabe et al. 2023, arXiv:2304.10255, as Optuna has it.

    Returns:
        None with fewer than `MIN_TRIALS` trials of one length, or no key that all of them have.
    """
    importances, num_trials = _importances(found)
    if not importances:
        return None
    names = list(reversed(importances))
    figure = go.Figure(
        go.Bar(
            x=[rounded(importances[name]) for name in names],
            y=names,
            orientation="h",
            marker={"color": TRIAL},
            hovertemplate="%{y}: %{x}<extra></extra>",
        )
    )
    epochs = found.widest_rung or 0
    num_best = max(1, round(_BEST_SHARE * num_trials))
    return finish(
        figure,
        "Which keys decide",
        f"PED-ANOVA over {num_trials} trials after {epochs} epochs: how differently the best tenth "
        f"of them (here {num_best}) is spread along each key, as a share of all keys. It says "
        "where to look, not which value to take, and little from fewer than 50 trials. Keys that "
        "only some trials have are left out.",
        xaxis={"title": "importance, of 1 in all", "rangemode": "tozero"},
        margin={"l": 160, "r": 30, "t": 50, "b": 60},
        height=140 + 36 * len(names),
    )


def key_importances(found: Found) -> dict[str, float]:
    """Short name of a key -> its share of the importance, largest first; empty as `importance`."""
    return _importances(found)[0]


def _importances(found: Found) -> tuple[dict[str, float], int]:
    """With the number of trials that they are of."""
    epochs = found.widest_rung
    if epochs is None or len(found.values_by_epochs[epochs]) < MIN_TRIALS:
        return {}, 0
    from optuna import create_study, logging
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import create_trial

    from sweeps.space.labels import short_names

    logging.set_verbosity(logging.WARNING)
    values = found.values_by_epochs[epochs]
    rows = [row for row in found.result.rows if row.record.index in values]
    domains = {
        path: domain
        for path, domain in found.sweep.space.sampled.items()
        if all(path in row.record.overrides for row in rows if row.record.index > 0)
    }
    if not domains:
        return {}, 0
    study = create_study(direction="maximize" if found.maximize else "minimize")
    for row in rows:
        point = {path: row.record.overrides.get(path, row.varied[path]) for path in domains}
        # The recipe itself may lie outside of the space.
        if all(domain.contains(point[path]) for path, domain in domains.items()):
            study.add_trial(
                create_trial(
                    params={path: one.parameter(point[path]) for path, one in domains.items()},
                    distributions={path: one.distribution for path, one in domains.items()},
                    value=values[row.record.index],
                )
            )
    if len(study.trials) < MIN_TRIALS or len({trial.value for trial in study.trials}) < 2:
        return {}, 0
    evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE)
    shares = get_param_importances(study, evaluator=evaluator)
    names = dict(zip(domains, short_names(list(domains)), strict=True))
    return {names[path]: share for path, share in shares.items()}, len(study.trials)


def _with_value(found: Found) -> list[TrialRow]:
    return [
        row
        for row in found.result.rows
        if row.value is not None and math.isfinite(row.value) and row.record.twin is None
    ]
