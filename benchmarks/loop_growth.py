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
OURS = "fit"

_TEXT = """\
### Growth

![The whole step over parameter tensors, what of it is above bare, and fit over images]({picture})

CPU microseconds per step above bare with deeper models, and of the whole step the exponent of the
power law cost ~ tensors ** exponent that fits best. Differences are known to a hundredth of a step,
as *bare, again* shows, which at the largest model is more than most sides cost.

{depths}

`fit` with more training images, above bare and the whole step:

{images}

How the cost of the platform grows with trials and workers: [scale.md](scale.md).
"""


def above(answers: list[dict[str, Any]], clock: str = "cpu") -> Spread:
    """Microseconds per step above the bare loop beside it."""
    return spread([one[f"above_{clock}"] for one in answers])


def growth(result: dict[str, Any]) -> str:
    """Markdown."""
    return _TEXT.format(
        picture=PICTURE, depths=_depths(result["depths"]), images=_images(result["images"])
    )


def law(sizes: list[int], costs: list[float]) -> str:
    """The fitted exponent; a cost that is not above zero has none."""
    return f"{exponent(sizes, costs):.2f}" if min(costs) > 0 else "none"


def _whole(answers: list[dict[str, Any]], clock: str = "cpu") -> Spread:
    """Microseconds per step of the side; with ``bare_cpu`` of the bare loop beside it."""
    return spread([one[clock] for one in answers])


def _depths(depths: list[dict[str, Any]]) -> str:
    tensors = [one["tensors"] for one in depths]
    rows = []
    for name in depths[0]["sides"]:
        answers = [one["sides"][name] for one in depths]
        whole = law(tensors, [_whole(each).median for each in answers])
        rows.append([name, *(above(each).text() for each in answers), whole])
    everybody = [[one for each in depth["sides"].values() for one in each] for depth in depths]
    bare = [_whole(each, "bare_cpu") for each in everybody]
    whole = law(tensors, [one.median for one in bare])
    rows.append(["the bare step, whole", *(one.text() for one in bare), whole])
    header = ["loop", *(f"{count} tensors" for count in tensors), "exponent of the whole step"]
    return table(header, rows)


def _images(images: list[dict[str, Any]]) -> str:
    counts = [one["images"] for one in images]
    costs = [above(one["sides"][OURS]) for one in images]
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
        _draw(figure, 2, tensors, [above(each) for each in answers], None, number)
    counts = [one["images"] for one in result["images"]]
    costs = [above(one["sides"][OURS]) for one in result["images"]]
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
