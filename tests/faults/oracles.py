"""What must be true of a sweep whatever was broken on its way, told by its store and its files.

The reference is a training that nobody disturbed: `fit` alone, without Ray and without a sweep.
What differs from it in one bit or one point raises AssertionError.
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
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

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
        states: Digest over the last checkpoint: weights, optimizer, losses of the last epoch; None
            of a trial that keeps none.
    """

    points: Counter[tuple[str, int, float]]
    states: str | None


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
def undisturbed(recipe_yaml: str, num_workers: int = 1) -> Training:
    """The recipe trained by `fit` alone, in so many processes of one thread, as workers have."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(recipe_yaml)
        if num_workers == 1:
            num_threads = torch.get_num_threads()
            _train(0, file, 1)
            torch.set_num_threads(num_threads)
        else:
            spawn(_train, (file, num_workers), num_workers)
        results = json.loads((Path(folder) / "results.json").read_text())
        return Training(points_of(results), digest_of(Path(folder) / "last"))


def _train(rank: int, file: Path, num_workers: int) -> None:
    torch.set_num_threads(1)
    if num_workers > 1:
        meeting = f"file://{file.parent / 'meeting'}"
        dist.init_process_group("gloo", meeting, rank=rank, world_size=num_workers)
    results = []
    for result in fit(Recipe.from_yaml(file)):
        results.append(result.metrics())
        if result.finished:
            result.save_checkpoint(file.parent / "last")
    if rank == 0:
        (file.parent / "results.json").write_text(json.dumps(results))
    if num_workers > 1:
        dist.destroy_process_group()


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
        states = None if checkpoint is None else digest_of(checkpoint)
        found[trial] = Training(points, states)
    return found


def points_lost(found: Training, expected: Training) -> int:
    """How many points the store lacks, has more than once, or should not have."""
    return ((found.points - expected.points) + (expected.points - found.points)).total()


def assert_same(found: Training, expected: Training) -> None:
    """Raise AssertionError unless every point is there once and every number is the same."""
    assert found.points == expected.points
    assert found.states == expected.states


def assert_undisturbed(home: Home, *, num_workers: int = 1) -> int:
    """Raise AssertionError unless each trial has come to what it comes to when left alone.

    Args:
        home: With a sweep that has ended.
        num_workers: Of each trial.

    Returns:
        The points lost, which is 0.
    """
    found = trainings_of(home)
    recipes = {trial: (trial_folder(home, trial) / "recipe.yaml").read_text() for trial in found}
    expected = {trial: undisturbed(text, num_workers) for trial, text in recipes.items()}
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
    """Every file of the trials that are completed but the tracker's own, to be compared later.

    Halves that a killed driver has left are none: the next one removes them.
    """
    files = {}
    for record in sweep_folder(home).trials_path.glob("t*/trial.json"):
        if json.loads(record.read_text())["status"] == "completed":
            for file in record.parent.rglob("*"):
                if file.is_file() and not file.name.startswith((".", "tracking.json")):
                    files[file] = file.read_bytes()
    return files


def assert_nothing_left_in(home: Home) -> None:
    """Raise AssertionError if the sweep that has ended holds a lock or has left half of a file."""
    folder = sweep_folder(home)
    assert not folder.is_running
    names = [path.relative_to(folder.path) for path in folder.path.rglob("*")]
    assert [name for name in names if name.name.startswith(".")] == []
    assert [name for name in names if name.name == "within-epoch"] == []
