"""The report's figures: which there are, in its order, and as PNG files."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.figures import curves, fairness, keys
from sweeps.figures.found import Found
from sweeps.mirror import publish, remove

if TYPE_CHECKING:
    import plotly.graph_objects as go

Maker = Callable[[Found], "go.Figure | None"]

SECTIONS: dict[str, tuple[Maker, ...]] = {
    "How sure, and at what cost": (fairness.gains, curves.accuracy_against_time),
    "How the trials went": (curves.learning_curves, fairness.rank_correlations),
    "What the keys do": (
        keys.parallel_coordinates,
        keys.importance,
        keys.slices,
        fairness.schedule_shapes,
    ),
    "What failed": (fairness.failures,),
}
FOLDER_NAME = "figures"
_SCALE = 1.5


class NoBrowser(RuntimeError):
    """PNG files need Chrome or Chromium on this machine, and there is none that starts."""


def write_pictures(found: Found) -> Path:
    """Write each figure as a PNG on white into ``figures`` in the sweep's folder; returns that.

    Raises:
        NoBrowser: If there is nothing to draw them with; then nothing is written.
        OSError: If they cannot be written.
    """
    import plotly.io
    from choreographer.errors import BrowserClosedError, BrowserDepsError, BrowserFailedError
    from kaleido.errors import ChromeNotFoundError

    figures = {
        make.__name__: _on_paper(figure)
        for makers in SECTIONS.values()
        for make in makers
        if (figure := make(found)) is not None
    }
    folder = found.folder.path / FOLDER_NAME
    temporary = folder.with_name(f".{FOLDER_NAME}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        files: list[str | Path] = [temporary / f"{name}.png" for name in figures]
        if files:
            plotly.io.write_images(
                list(figures.values()),
                files,
                scale=_SCALE,
                width=[figure.layout.width for figure in figures.values()],
                height=[figure.layout.height for figure in figures.values()],
            )
        remove(folder)
        temporary.replace(folder)
        publish(folder)
    except (BrowserClosedError, BrowserDepsError, BrowserFailedError) as error:
        raise NoBrowser(
            f"PNG files need Chrome or Chromium, which does not start: {error}"
        ) from error
    except RuntimeError as error:
        if isinstance(error.__context__, ChromeNotFoundError):  # plotly raises a plain one
            raise NoBrowser("PNG files need Chrome or Chromium: not installed here") from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _on_paper(figure: "go.Figure") -> "go.Figure":
    """White, and with room for the title, which the page writes above the figure."""
    margin, room = figure.layout.margin, 40
    return figure.update_layout(
        paper_bgcolor="white",
        plot_bgcolor="white",
        margin={"t": margin.t + room},
        height=figure.layout.height + room,
        title={"x": 0.02, "y": 0.98, "yanchor": "top"},
    )
