"""How the pictures look: colours that colour-blind people tell apart, on any background.

Colours: Okabe & Ito 2008, "Color Universal Design", which stand out on white and on black alike.
"""

from typing import Any

import plotly.graph_objects as go

from sweeps.answer.results import TrialRow

RECIPE, WINNER, TRIAL, STOPPED, FAILED = "#E69F00", "#009E73", "#56B4E9", "#999999", "#D55E00"
SCALE = [[0.0, "#9A7BC8"], [0.5, "#3C9BD6"], [1.0, "#E8A300"]]
WIDTH_PX, HEIGHT_PX = 960, 440


def finish(figure: go.Figure, title: str, caption: str, **layout: Any) -> go.Figure:
    """Give a figure its title and caption, and the look that all of them have.

    Args:
        figure: Its traces are there already.
        title: Short.
        caption: What to see in it; ``figure.layout.meta["caption"]``.
        layout: More of plotly's layout.
    """
    look = {
        "title": {"text": title},
        "meta": {"caption": caption},
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "margin": {"l": 70, "r": 30, "t": 60, "b": 60},
        "width": WIDTH_PX,
        "height": HEIGHT_PX,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"namelength": -1},
    }
    return figure.update_layout(**{**look, **layout})


def colour_of(row: TrialRow, winner: TrialRow | None) -> str:
    """Of a trial, by what became of it."""
    if row.record.index == 0:
        return RECIPE
    if winner is not None and row.record.id == winner.record.id:
        return WINNER
    return TRIAL if row.rank is not None else STOPPED


def rounded(value: float) -> float:
    """Five digits, which is more than a picture shows, and half of a file's size."""
    return float(f"{value:.5g}")
