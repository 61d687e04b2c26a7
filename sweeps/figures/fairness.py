"""Whether the answer can be trusted: seeds, rungs, failures; and the schedules that were tried."""

from collections import Counter

import plotly.graph_objects as go

from resnet_core.recipe import Recipe
from sweeps.figures.found import Found
from sweeps.figures.style import FAILED, RECIPE, STOPPED, TRIAL, WINNER, finish, rounded
from sweeps.schedule_points import schedule_points
from sweeps.space.labels import short_value

_STEPS_PER_EPOCH = 20
"""Where the number of images is not known."""

_MOST_SCHEDULES = 12


def gains(found: Found) -> go.Figure | None:
    """Each confirmed candidate against the recipe, with its interval.

    Returns:
        None without a confirmation, or where nothing could be compared.
    """
    verdict = found.result.verdict
    if verdict is None:
        return None
    compared = [one for one in verdict.confirmation.comparisons if one.gain is not None]
    if not compared:
        return None
    scale = 100 if verdict.confirmation.is_accuracy else 1
    figure = go.Figure()
    for one in reversed(compared):
        gain = one.gain
        assert gain is not None
        is_winner = one.candidate.trial_id == verdict.winner.trial_id
        figure.add_trace(
            go.Scatter(
                x=[rounded(scale * gain.mean)],
                y=[one.candidate.name],
                error_x={"array": [rounded(scale * (gain.half_width or 0))], "thickness": 3,
                         "width": 8, "visible": gain.half_width is not None},
                mode="markers",
                marker={"size": 13, "color": WINNER if is_winner else TRIAL},
                showlegend=False,
                hovertemplate="%{x}<extra>%{y}</extra>",
            )
        )  # fmt: skip
        ours, theirs = one.candidate.finite, verdict.confirmation.recipe.finite
        sign = 1 if verdict.confirmation.maximize else -1
        figure.add_trace(
            go.Scatter(
                x=[rounded(scale * sign * (ours[seed] - theirs[seed])) for seed in one.seeds],
                y=[one.candidate.name] * len(one.seeds),
                text=[f"seed {seed}" for seed in one.seeds],
                mode="markers",
                marker={"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": STOPPED}},
                showlegend=False,
                hovertemplate="%{text}: %{x}<extra></extra>",
            )
        )
    figure.add_vline(x=0, line={"color": RECIPE, "width": 2})
    unit = "points" if verdict.confirmation.is_accuracy else found.metric
    return finish(
        figure,
        "Confirmed against the recipe",
        "The dot is the mean gain over seeds that candidate and recipe share, the bar its 95 % "
        "interval (wide enough for all candidates together), the small strokes are single seeds. "
        "The recipe is the orange line: a bar that crosses it shows no difference, and a dot "
        "without a bar has one seed, which shows nothing.",
        xaxis={"title": f"gain over the recipe in {unit}; right is better", "zeroline": False},
        yaxis={"automargin": True},
        height=160 + 60 * len(compared),
    )


def rank_correlations(found: Found) -> go.Figure | None:
    """How well each rung foretells the next longer schedule.

    Returns:
        None for a sweep without rungs.
    """
    known = [one for one in found.result.correlations if one.value is not None]
    if not known:
        return None
    figure = go.Figure(
        go.Bar(
            x=[f"{one.epochs} with {one.next_epochs} epochs" for one in known],
            y=[rounded(one.value or 0) for one in known],
            text=[f"{one.value:.2f}, {one.num_trials} trials" for one in known],
            marker={"color": TRIAL},
            width=0.4,
        )
    )
    return finish(
        figure,
        "Was early stopping fair?",
        "Spearman's rank correlation between a rung and the next one, over the trials that reached "
        "both. Near 1 the short training foretells the long one; near 0 trials were stopped at "
        "random, and grace_period should be longer.",
        yaxis={"range": [-1, 1], "title": "rank correlation"},
        height=340,
    )


def failures(found: Found) -> go.Figure | None:
    """How many trials ended without a result, by reason; None where none did."""
    ended = ("failed", "infeasible")
    counts = Counter(
        f"{row.record.status}: {row.record.reason or 'error'}"
        for row in found.result.rows
        if row.record.status in ended
    )
    if not counts:
        return None
    reasons = [reason for reason, _ in counts.most_common()][::-1]
    figure = go.Figure(
        go.Bar(
            x=[counts[reason] for reason in reasons],
            y=reasons,
            orientation="h",
            marker={"color": FAILED},
            hovertemplate="%{y}: %{x}<extra></extra>",
        )
    )
    return finish(
        figure,
        "Trials without a result",
        "infeasible is the point's own doing: the loss diverged (nan), the model did not fit (oom) "
        "or broke a constraint. failed is the machine's, and `sweeps retry` tries it again.",
        xaxis={"title": "trials", "dtick": max(1, max(counts.values()) // 8)},
        margin={"l": 180, "r": 30, "t": 50, "b": 60},
        height=150 + 36 * len(reasons),
    )


def schedule_shapes(found: Found) -> go.Figure | None:
    """The learning-rate schedules that were tried, as multiples of the peak.

    Returns:
        None where every trial has the recipe's.
    """
    shapes: dict[str, tuple[Recipe, bool]] = {}
    for row in sorted(found.result.rows, key=lambda row: (row.record.index != 0, row.rank or 1e9)):
        recipe = found.sweep.recipe_for(row.record.overrides)
        section = recipe.to_dict(with_defaults=False).get("lr_schedulers", {})
        key = f"{short_value(section) or 'constant'}, {recipe.max_duration}"
        shapes.setdefault(key, (recipe, row.record.index == 0))
    if len(shapes) < 2:
        return None
    figure = go.Figure()
    for name, (recipe, is_recipe) in list(shapes.items())[:_MOST_SCHEDULES]:
        num_train = None if recipe.data is None else recipe.data.num_train
        # Lengths in steps need the real number of them; others look the same with any.
        per_epoch = num_train // recipe.train_batch_size if num_train else _STEPS_PER_EPOCH
        epochs, rates = schedule_points(recipe, max(1, per_epoch))
        line = {"color": RECIPE, "width": 3} if is_recipe else {"width": 1.5}
        figure.add_trace(
            go.Scatter(
                x=[rounded(epoch) for epoch in epochs],
                y=[rounded(rate) for rate in rates],
                mode="lines",
                line=line,
                name=f"{name} (recipe)" if is_recipe else name,
            )
        )
    more = len(shapes) - _MOST_SCHEDULES
    which = f" Of the {len(shapes)} that were tried, those of the best trials." if more > 0 else ""
    return finish(
        figure,
        "Learning-rate schedules",
        f"The rate as a share of its peak; the thick line is the recipe's.{which}",
        xaxis={"title": "epochs"},
        yaxis={"title": "share of the peak rate", "rangemode": "tozero"},
    )
