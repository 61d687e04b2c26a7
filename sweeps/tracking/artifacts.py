"""Files of a sweep and of a trial that go to MLflow beside the numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from resnet_core.manifest import CorruptCheckpoint, read_manifest
from sweeps.answer.results import best_epoch
from sweeps.mirror import fetch, forget
from sweeps.sections import ObjectiveConfig
from sweeps.storage import SweepFolder

_OF_SWEEP = ("sweep.yaml", "resolved.yaml", "environment.json")
_OF_CHECKPOINT = ("model.pt", "manifest.json")
"""What it takes to use the model; the optimizer's state stays in the sweep's folder."""


def log_sweep_files(client: Any, run_id: str, folder: SweepFolder) -> None:
    """The sweep as written and as resolved, and what it ran on."""
    for name in _OF_SWEEP:
        client.log_artifact(run_id, str(folder.path / name))
    diff = folder.path / "git.diff"
    if diff.exists():
        client.log_artifact(run_id, str(diff), "environment")


def log_checkpoints(
    client: Any, run_id: str, training_folder: Path, objective: ObjectiveConfig,
    arrived: Callable[[], object] = lambda: None,
) -> None:  # fmt: skip
    """Best and last checkpoint of a trial, of those that its folder keeps.

    Args:
        client: An `MlflowClient`.
        run_id: Of the trial.
        training_folder: Of its whole schedule.
        objective: Says which is best. The manifests are asked, not the history: an epoch that was
            trained again on a GPU may have come out otherwise.
        arrived: Called after each file: whoever waits can tell a slow store from one that hangs.
    """
    checkpoints = training_folder / "checkpoints"
    try:
        fetch(checkpoints, weights=True)
        kept = _epochs_by_folder(checkpoints)
        if not kept:
            return
        metrics = [metrics for metrics, _ in kept]
        best, last = best_epoch(metrics, objective), max(one["epoch"] for one in metrics)
        for name, epoch in (("best_checkpoint", best), ("last_checkpoint", last)):
            folder = next(folder for one, folder in kept if one["epoch"] == epoch)
            for file in _OF_CHECKPOINT:
                client.log_artifact(run_id, str(folder / file), name)
                arrived()
    finally:
        forget(checkpoints)


def _epochs_by_folder(checkpoints: Path) -> list[tuple[dict[str, Any], Path]]:
    """The metrics of each whole checkpoint, and its folder."""
    found = []
    for folder in sorted(checkpoints.glob("ep*")):
        try:
            metrics = read_manifest(folder).metrics
        except CorruptCheckpoint:  # whoever goes on from it sets it aside, and says so
            continue
        if all((folder / file).exists() for file in _OF_CHECKPOINT):
            found.append((metrics, folder))
    return found
