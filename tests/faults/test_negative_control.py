"""Negative controls: what the faults are judged by must see a training that was resumed wrongly."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_core import Recipe, fit
from resnet_core import train as training_loop
from resnet_core.data.loader import TrainLoader
from tests.faults.oracles import Training, assert_same, digest_of, points_lost, points_of

pytestmark = [pytest.mark.faults, pytest.mark.faults_in_ci]

RECIPE = Recipe.model_validate(
    {
        "model": {"name": "resnet_20", "num_classes": 4, "initial_stem": "cifar"},
        "optimizer": {"decoupled_sgdw": {"learning_rate": 0.02, "momentum": 0.9}},
        "lr_schedulers": {},
        "train_batch_size": 16,
        "max_duration": "2ep",
        "data": {"fake": {"num_train": 64, "num_evaluation": 33, "image_size_px": 8}},
    }
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(folder: Path, at_the_break: Callable[[], object] | None = None) -> Training:
    """Two epochs in one go, or with a break after the first, in which something may be changed."""
    results, checkpoint = [], folder / "newest"
    for result in fit(RECIPE):
        results.append(result.metrics())
        result.save_checkpoint(checkpoint)
        if at_the_break is not None:
            break
    if at_the_break is not None:
        at_the_break()
        for result in fit(RECIPE, resume_from=checkpoint):
            results.append(result.metrics())
            result.save_checkpoint(checkpoint)
    return Training(points_of(results), digest_of(checkpoint))


def test_a_resumed_training_passes_as_one_that_was_never_interrupted(tmp_path: Path):
    whole, resumed = train(tmp_path / "whole"), train(tmp_path / "resumed", lambda: None)
    assert_same(resumed, whole)
    assert points_lost(resumed, whole) == 0


def test_a_training_resumed_with_another_order_of_the_images_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def another_order(*args: Any, seed: int, **kwargs: Any) -> TrainLoader:
        return TrainLoader(*args, seed=seed + 1, **kwargs)

    whole = train(tmp_path / "whole")
    resumed = train(
        tmp_path / "resumed",
        lambda: monkeypatch.setattr(training_loop, "TrainLoader", another_order),
    )
    with pytest.raises(AssertionError):
        assert_same(resumed, whole)
    with pytest.raises(AssertionError):
        assert_same(replace(resumed, points=whole.points), whole)  # by its weights alone
    assert points_lost(resumed, whole) > 0


def test_a_point_that_is_lost_or_doubled_does_not_pass(tmp_path: Path):
    whole = train(tmp_path / "whole")
    some = next(iter(whole.points))
    for times in (0, 2):
        broken = replace(whole, points=Counter({**whole.points, some: times}))
        with pytest.raises(AssertionError):
            assert_same(broken, whole)
        assert points_lost(broken, whole) == 1
