"""Which checkpoints a worker writes and which stay, with real trainings; only the clock is made."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_core import Recipe, fit
from resnet_core.manifest import newest_checkpoint
from sweeps.keeper import Keeper, Pace
from sweeps.sections import ObjectiveConfig

RECIPE = Recipe.model_validate(
    {
        "model": {"name": "resnet_20", "num_classes": 4, "initial_stem": "cifar"},
        "optimizer": {"decoupled_sgdw": {"learning_rate": 0.05, "momentum": 0.9}},
        "lr_schedulers": {},
        "train_batch_size": 16,
        "max_duration": "5ep",
        "methods": {"ema": {"half_life": "3ba", "update_interval": "1ba"}},
        "data": {"fake": {"num_train": 48, "num_evaluation": 33, "image_size_px": 8}},
    }
)
OBJECTIVE = ObjectiveConfig.model_validate({"metric": "val_loss"})


class Clock:
    """Seconds as the test says; writing takes ``write_seconds`` of them."""

    def __init__(self, write_seconds: float = 0.4) -> None:
        self.now, self.write_seconds = 100.0, write_seconds

    def __call__(self) -> float:
        return self.now

    def save(self) -> None:
        self.now += self.write_seconds


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_writing_keeps_within_its_share_of_the_time():
    clock = Clock(write_seconds=0.4)
    pace = Pace(0.02, clock)
    assert pace.is_due  # what it costs is not known yet
    pace.write(clock.save)
    # 0.4 s are 2 % of 20 s, 0.4 of which are the next one's own.
    clock.now += 19.5
    assert not pace.is_due
    clock.now += 0.2
    assert pace.is_due


def test_a_share_of_one_writes_every_epoch():
    clock = Clock(write_seconds=1000.0)
    pace = Pace(1.0, clock)
    pace.write(clock.save)
    assert pace.is_due


def test_a_trial_begins_with_nothing_to_lose():
    clock = Clock(write_seconds=0.4)
    pace = Pace(0.02, clock)
    pace.write(clock.save)
    clock.now += 1000
    pace.begin()
    assert not pace.is_due


def saved(folder: Path) -> dict[str, dict[str, str]]:
    """Checkpoint -> digests of its files."""
    manifests = sorted((folder / "checkpoints").glob("ep*/manifest.json"))
    return {path.parent.name: json.loads(path.read_text())["sha256"] for path in manifests}


def never_due(pace: Pace) -> Pace:
    """As if a checkpoint took longer than the training."""
    pace._seconds = 1e9
    return pace


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """Every epoch's checkpoint, written by `fit`'s own results, and their metrics."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("undisturbed")
    results = []
    for result in fit(RECIPE):
        result.save_checkpoint(folder / "checkpoints" / f"ep{result.epoch:04d}")
        results.append(result.metrics())
    return folder, results


def best_of(results: list[dict[str, Any]]) -> int:
    return min(results, key=lambda metrics: metrics["val_loss"])["epoch"]


def expected(undisturbed: tuple[Path, list[dict[str, Any]]], until: int) -> Any:
    folder, results = undisturbed
    names = {f"ep{epoch:04d}" for epoch in (best_of(results[:until]), until)}
    return {name: digests for name, digests in saved(folder).items() if name in names}


def test_newest_best_and_until_the_end_the_one_before_the_newest_stay(tmp_path, undisturbed):
    keeper = Keeper(tmp_path, OBJECTIVE, Pace(1.0))
    for result in fit(RECIPE):
        keeper.keep(result, at_once=False)
        names = {*expected(undisturbed, result.epoch)}
        if not result.finished and result.epoch > 1:
            names.add(f"ep{result.epoch - 1:04d}")
        assert saved(tmp_path).keys() == names
    assert saved(tmp_path) == expected(undisturbed, len(undisturbed[1]))


@pytest.mark.parametrize("until", [1, 2, 3, 4, 5])
def test_a_best_epoch_that_was_not_written_is_written_with_the_newest(tmp_path, undisturbed, until):
    keeper = Keeper(tmp_path, OBJECTIVE, never_due(Pace(0.02)))
    for result in fit(RECIPE):
        keeper.keep(result, at_once=False)
        assert saved(tmp_path) == {}
        if result.epoch == until:
            keeper.write(result)
            break
    assert saved(tmp_path) == expected(undisturbed, until)


def test_an_epoch_that_is_wanted_at_once_is_written_whatever_it_costs(tmp_path, undisturbed):
    keeper = Keeper(tmp_path, OBJECTIVE, never_due(Pace(0.02)))
    keeper.keep(next(fit(RECIPE)), at_once=True)
    assert saved(tmp_path) == expected(undisturbed, 1)


@pytest.mark.parametrize("written", [1, 3])
def test_a_worker_killed_between_two_checkpoints_ends_with_the_same_ones(
    tmp_path, undisturbed, written
):
    keeper = Keeper(tmp_path, OBJECTIVE, never_due(Pace(0.02)))
    for result in fit(RECIPE):
        keeper.keep(result, at_once=result.epoch == written)
        if result.epoch == written + 1:
            break  # what the worker holds in memory is lost here
    resumed_from = newest_checkpoint(tmp_path / "checkpoints")
    assert resumed_from == tmp_path / "checkpoints" / f"ep{written:04d}"
    keeper = Keeper(tmp_path, OBJECTIVE, never_due(Pace(0.02)))
    for result in fit(RECIPE, resume_from=resumed_from):
        keeper.keep(result, at_once=result.finished)
    assert saved(tmp_path) == expected(undisturbed, 5)
