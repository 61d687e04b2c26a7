"""Tables and figure of `benchmarks.loop`: how a step's cost grows with parameters and images."""

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.colors import qualitative
from plotly.subplots import make_subplots

from benchmarks.markdown import table
from benchmarks.scale_fit import exponent
from benchmarks.spread import Spread, spread

PICTURE = "performance_loop.png"
OURS, CONTROL = "fit", "bare"
"""What every side is compared with is a bare loop as a side."""

_TEXT = """\
### Growth

![The whole step over parameter tensors, what of it is above bare, and fit over images]({picture})

CPU microseconds per step above bare with deeper models, {rounds} times {steps} steps each, and of
the whole step the exponent of the power law cost ~ tensors ** exponent that fits best. Two bare
loops differ by up to {apart:.1%} of a step: what is less is not known.

{depths}

`fit` with more training images, above bare and the whole step:

{images}

How the cost of the platform grows with trials and workers: [scale.md](scale.md).
"""


def above(sides: dict[str, Any], name: str, clock: str = "cpu") -> Spread:
    """Microseconds per step of a side above a bare loop that is a side, round by round."""
    pairs = zip(sides[name], sides[CONTROL], strict=True)
    return spread([one[f"above_{clock}"] - bare[f"above_{clock}"] for one, bare in pairs])


def noise(sides: dict[str, Any]) -> Spread:
    """Microseconds that a bare loop seems to cost as a side, above the bare steps between its own.

    Those are taken by another way: a method that is called, instead of a loop.
    """
    return spread([one["above_cpu"] for one in sides[CONTROL]])


def growth(result: dict[str, Any]) -> str:
    """Markdown."""
    depths = result["depths"]
    some = [one["sides"] for one in depths]
    return _TEXT.format(
        picture=PICTURE,
        rounds=len(some[0][CONTROL]),
        steps=(result["task"]["steps"] - result["task"]["warmup_steps"]) // 2,
        apart=max(abs(noise(each).median) / _whole(each[CONTROL]).median for each in some),
        depths=_depths(depths),
        images=_images(result["images"]),
    )


def law(sizes: list[int], costs: list[float]) -> str:
    """The fitted exponent; a cost that is not above zero has none."""
    return f"{round(exponent(sizes, costs), 2) + 0.0:.2f}" if min(costs) > 0 else "none"


def _whole(answers: list[dict[str, Any]], clock: str = "cpu") -> Spread:
    """Microseconds per step of the side."""
    return spread([one[clock] for one in answers])


def _depths(depths: list[dict[str, Any]]) -> str:
    tensors = [one["tensors"] for one in depths]
    rows = []
    for name in depths[0]["sides"]:
        whole = law(tensors, [_whole(one["sides"][name]).median for one in depths])
        costs = [_whole(one["sides"][name]) for one in depths]
        label = f"{name}, the whole step"
        if name != CONTROL:
            costs, label = [above(one["sides"], name) for one in depths], name
        rows.append([label, *(one.text() for one in costs), whole])
    header = ["loop", *(f"{count} tensors" for count in tensors), "exponent of the whole step"]
    return table(header, rows)


def _images(images: list[dict[str, Any]]) -> str:
    counts = [one["images"] for one in images]
    costs = [above(one["sides"], OURS) for one in images]
    steps = [spread([each["cpu"] for each in one["sides"][OURS]]) for one in images]
    rows = [
        ["above bare", *(one.text() for one in costs), law(counts, [one.median for one in costs])],
        ["whole step", *(one.text() for one in steps), law(counts, [one.median for one in steps])],
    ]
    return table(["fit", *(f"{count:,} images" for count in counts), "exponent"], rows)


def picture(result: dict[str, Any], folder: Path) -> None:
    """Draw the growths; what is above bare not logarithmic, since noise falls below zero."""
    titles = ("whole step, deeper models", "of it above bare", "fit above bare, more images")
    figure = make_subplots(cols=3, subplot_titles=titles)
    tensors = [one["tensors"] for one in result["depths"]]
    for number, name in enumerate(result["depths"][0]["sides"]):
        answers = [one["sides"][name] for one in result["depths"]]
        whole = [_whole(each) for each in answers]
        told = f"{name}: exponent {law(tensors, [one.median for one in whole])}"
        _draw(figure, 1, tensors, whole, told, number)
        if name != CONTROL:
            costs = [above(one["sides"], name) for one in result["depths"]]
            _draw(figure, 2, tensors, costs, None, number)
    counts = [one["images"] for one in result["images"]]
    costs = [above(one["sides"], OURS) for one in result["images"]]
    told = f"fit, more images: exponent {law(counts, [one.median for one in costs])}"
    _draw(figure, 3, counts, costs, told, len(result["depths"][0]["sides"]))
    for column in (1, 2):
        figure.update_xaxes(type="log", title="parameter tensors", tickvals=tensors, col=column)
    texts = [f"{count:,}" for count in counts]
    figure.update_xaxes(type="log", title="training images", tickvals=counts, ticktext=texts, col=3)
    figure.update_yaxes(type="log", tickvals=[1000, 2000, 5000, 10_000, 20_000], col=1)
    figure.update_yaxes(title="CPU us per step", row=1, col=1)
    figure.update_yaxes(rangemode="tozero", col=2)
    figure.update_yaxes(rangemode="tozero", col=3)
    figure.update_layout(
        template="plotly_white", width=1300, height=450, margin={"t": 50},
        legend={"orientation": "h", "y": -0.2},
    )  # fmt: skip
    figure.write_image(folder / PICTURE, scale=1.2)


def _draw(
    figure: Any, column: int, sizes: list[int], costs: list[Spread], name: str | None, number: int
) -> None:
    """A line of one colour in every panel; None has no entry of its own in the legend."""
    bars = {
        "type": "data", "symmetric": False,
        "array": [one.high - one.median for one in costs],
        "arrayminus": [one.median - one.low for one in costs],
    }  # fmt: skip
    trace = go.Scatter(
        x=sizes, y=[one.median for one in costs], mode="lines+markers", error_y=bars, name=name,
        showlegend=name is not None, line={"color": qualitative.Plotly[number]},
    )  # fmt: skip
    figure.add_trace(trace, row=1, col=column)
