"""Tables and figure of `benchmarks.loop`: how a step's cost grows with parameters and images."""

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from benchmarks.markdown import table
from benchmarks.scale_fit import exponent
from benchmarks.spread import Spread, spread

PICTURE = "performance_loop.png"
OURS = "fit"

_TEXT = """\
### Growth

![What a step costs above bare, over parameter tensors and over images]({picture})

CPU microseconds per step above bare with deeper models, and the exponent of the power law
cost ~ tensors ** exponent that fits best (0: the same for every model).

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


def _depths(depths: list[dict[str, Any]]) -> str:
    tensors = [one["tensors"] for one in depths]
    rows = []
    for name in depths[0]["sides"]:
        costs = [above(one["sides"][name]) for one in depths]
        rows.append(
            [name, *(cost.text() for cost in costs), law(tensors, [one.median for one in costs])]
        )
    bare = [
        spread([one["bare_cpu"] for answers in each["sides"].values() for one in answers])
        for each in depths
    ]
    rows.append(
        ["the bare step", *(one.text() for one in bare), law(tensors, [one.median for one in bare])]
    )
    return table(["loop", *(f"{count} tensors" for count in tensors), "exponent"], rows)


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
    """Draw both growths; not logarithmic upwards, since noise falls below zero."""
    figure = make_subplots(cols=2, subplot_titles=("deeper models", "fit with more images"))
    tensors = [one["tensors"] for one in result["depths"]]
    for name in result["depths"][0]["sides"]:
        costs = [above(one["sides"][name]) for one in result["depths"]]
        _draw(figure, 1, tensors, costs, name)
    images = [one["images"] for one in result["images"]]
    _draw(figure, 2, images, [above(one["sides"][OURS]) for one in result["images"]], OURS)
    figure.update_xaxes(type="log", row=1, col=1, title="parameter tensors", tickvals=tensors)
    figure.update_xaxes(
        type="log", row=1, col=2, title="training images", tickvals=images,
        ticktext=[f"{count:,}" for count in images],
    )  # fmt: skip
    figure.update_yaxes(title="CPU us per step above bare", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(rangemode="tozero", row=1, col=2)
    figure.update_layout(
        template="plotly_white", width=1000, height=420, legend={"orientation": "h", "y": -0.25}
    )
    figure.write_image(folder / PICTURE, scale=1.5)


def _draw(figure: Any, column: int, sizes: list[int], costs: list[Spread], name: str) -> None:
    medians = [one.median for one in costs]
    bars = {
        "type": "data", "symmetric": False,
        "array": [one.high - one.median for one in costs],
        "arrayminus": [one.median - one.low for one in costs],
    }  # fmt: skip
    trace = go.Scatter(
        x=sizes, y=medians, mode="lines+markers", error_y=bars,
        name=f"{name}: exponent {law(sizes, medians)}",
    )  # fmt: skip
    figure.add_trace(trace, row=1, col=column)
