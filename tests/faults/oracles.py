"""What must be true of a sweep whatever was broken on its way, told by its store and its files.

The reference is a training that nobody disturbed: `fit` alone, in this process, on one thread as a
worker. Tests give it what the sweep has left, and it raises AssertionError at the first difference.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from resnet_core import Recipe, fit
from resnet_core.checkpoint import load_checkpoint
from resnet_core.manifest import newest_checkpoint
from sweeps.storage import SweepFolder
from tests.e2e.conftest import Home

METRICS = ("epoch", "train_loss", "val_loss", "val_accuracy", "val_top5_accuracy", "learning_rate")
"""What a training gives again bit for bit; the others are times."""


@dataclass(frozen=True)
class Training:
    """What a training came to.

    Attributes:
        points: (metric, step, value) -> how often the store has it.
        states: Digest over the last checkpoint: weights, optimizer, losses of the last epoch.
    """

    points: Counter[tuple[str, int, float]]
    states: str


def digest_of(checkpoint: Path) -> str:
    """Over every number in a checkpoint, whatever file it stands in."""
    states, _ = load_checkpoint(checkpoint, torch.device("cpu"))
    digest = hashlib.sha256()

    def add(state: Any) -> None:
        match state:
            case torch.Tensor():
                digest.update(state.contiguous().numpy().tobytes())
            case dict():
                for key in sorted(state, key=str):
                    digest.update(str(key).encode())
                    add(state[key])
            case list():
                for value in state:
                    add(value)
            case _:
                digest.update(repr(state).encode())

    add(states)
    return digest.hexdigest()


def points_of(results: list[dict[str, Any]]) -> Counter[tuple[str, int, float]]:
    """Of each epoch's metrics, as the store should have them: once."""
    return Counter(
        (name, int(result["step"]), float(result[name])) for result in results for name in METRICS
    )


@cache
def undisturbed(recipe_yaml: str) -> Training:
    """The recipe trained by `fit` alone; on one thread, since another number adds otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with TemporaryDirectory() as folder:
            file, last = Path(folder) / "recipe.yaml", Path(folder) / "last"
            file.write_text(recipe_yaml)
            results = []
            for result in fit(Recipe.from_yaml(file)):
                results.append(result.metrics())
                if result.finished:
                    result.save_checkpoint(last)
            return Training(points_of(results), digest_of(last))
    finally:
        torch.set_num_threads(before)


def trainings_of(home: Home) -> dict[str, Training]:
    """What store and folders have of each trial of the sweep."""
    found = {}
    for trial, run in home.runs().items():
        points = Counter(
            (name, point.step, point.value)
            for name in METRICS
            for point in home.client.get_metric_history(run.info.run_id, name)
        )
        checkpoint = newest_checkpoint(trial_folder(home, trial) / "checkpoints")
        assert checkpoint is not None
        found[trial] = Training(points, digest_of(checkpoint))
    return found


def points_lost(found: Training, expected: Training) -> int:
    """How many points the store lacks, has more than once, or should not have."""
    return ((found.points - expected.points) + (expected.points - found.points)).total()


def assert_same(found: Training, expected: Training) -> None:
    """Raise AssertionError unless every point is there once and every number is the same."""
    assert found.points == expected.points
    assert found.states == expected.states


def assert_undisturbed(home: Home, expected: dict[str, Training] | None = None) -> int:
    """Raise AssertionError unless each trial has come to what it comes to when left alone.

    Args:
        home: With a sweep that has ended.
        expected: Trial -> what it comes to; None trains each recipe by `fit`, with one worker.

    Returns:
        The points lost, which is 0.
    """
    found = trainings_of(home)
    if expected is None:
        recipes = {trial: trial_folder(home, trial) / "recipe.yaml" for trial in found}
        expected = {trial: undisturbed(file.read_text()) for trial, file in recipes.items()}
    assert found.keys() == expected.keys()
    for trial, training in found.items():
        assert_same(training, expected[trial])
    assert {run.info.status for run in home.runs().values()} == {"FINISHED"}
    return sum(points_lost(found[trial], expected[trial]) for trial in found)


def sweep_folder(home: Home) -> SweepFolder:
    return SweepFolder(home.path / "results" / "e2e")


def trial_folder(home: Home, trial: str) -> Path:
    (folder,) = sweep_folder(home).trials_path.glob(f"{trial}-*")
    return folder


def finished_files(home: Home) -> dict[Path, bytes]:
    """Every file of the trials that are completed, to be compared with later ones."""
    files = {}
    for record in sweep_folder(home).trials_path.glob("t*/trial.json"):
        if json.loads(record.read_text())["status"] == "completed":
            for file in record.parent.rglob("*"):
                if file.is_file():
                    files[file] = file.read_bytes()
    return files


def assert_nothing_left_in(home: Home) -> None:
    """Raise AssertionError if the sweep that has ended holds a lock or has left half of a file."""
    folder = sweep_folder(home)
    assert not folder.is_running
    names = [path.relative_to(folder.path) for path in folder.path.rglob("*")]
    assert [name for name in names if name.name.startswith(".")] == []
    assert [name for name in names if name.name == "within-epoch"] == []
