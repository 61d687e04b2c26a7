"""A sweep's results in a notebook: rows, a pandas frame, and the report's figures.

    from sweeps.results import learning_curves, open_results, trials_frame

    found = open_results("digits-quickstart")
    trials_frame(found).sort_values("val_accuracy")
    learning_curves(found).show()

A figure is plotly's; None says that the sweep has nothing to draw there. No torch, no Ray.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.figures.curves import accuracy_against_time, learning_curves
from sweeps.figures.fairness import failures, gains, rank_correlations, schedule_shapes
from sweeps.figures.found import Found, read_found
from sweeps.figures.keys import importance, key_importances, parallel_coordinates, slices
from sweeps.home import storage_root
from sweeps.loading import load_sweep
from sweeps.storage import SweepFolder

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Found", "accuracy_against_time", "failures", "gains", "importance", "key_importances",
    "learning_curves", "open_results", "parallel_coordinates", "rank_correlations",
    "schedule_shapes", "slices", "trials_frame",
]  # fmt: skip


def open_results(name: str, storage: str | Path | None = None) -> Found:
    """A sweep that was begun, running or not, as it stands now.

    Args:
        name: Of the sweep.
        storage: The folder that holds its folder; None is ``./results`` (or ``$SWEEPS_HOME``'s).

    Raises:
        SweepNotFound: If there is none of this name; it names the nearest one.
    """
    folder = SweepFolder.find(storage_root(None if storage is None else str(storage)), name)
    return read_found(folder, load_sweep(folder.sweep_file))


def trials_frame(found: Found) -> "pd.DataFrame":
    """One row per trial, indexed by its name (``t0007``).

    Columns: ``status``, ``reason``, ``rank``, ``epochs``, ``worker_seconds``, the objective (after
    ``epochs`` epochs), each varied key by its recipe path, and every metric of the last epoch.
    """
    import pandas as pd

    rows = [
        {
            "trial": row.record.id,
            "status": row.record.status,
            "reason": row.record.reason,
            "rank": row.rank,
            "epochs": row.epochs,
            "worker_seconds": row.record.worker_seconds,
            **row.varied,
            **{name: value for name, value in row.metrics.items() if name != "epoch"},
            found.metric: row.value,
        }
        for row in found.result.rows
    ]
    return pd.DataFrame(rows).set_index("trial")
