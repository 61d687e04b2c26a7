"""Negative controls: what the faults are judged by must see a training that was resumed wrongly."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from resnet_core import Recipe, fit, optimizer_step, train_batch
from resnet_core import train as training_loop
from resnet_core.data import batch_reader
from resnet_core.data.loader import TrainLoader
from resnet_core.random_streams import Stream
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

ALL_METHODS = Recipe.model_validate(
    {
        **RECIPE.model_dump(exclude_unset=True),
        "data": {
            "fake": {
                "num_train": 64, "num_evaluation": 33, "image_size_px": 8,
                "max_shift_px": 1, "horizontal_flip": True,
            }
        },
        "methods": {
            "mixup": {}, "col_out": {}, "trivial_augment": {},
            "stochastic_depth": {"drop_ratio": 0.5},
        },
    }
)  # fmt: skip
DRAWN_FROM: dict[Stream, tuple[ModuleType, str]] = {
    Stream.ORDER: (batch_reader, "torch_generator"),
    Stream.SHIFT: (batch_reader, "torch_generator"),
    Stream.IMAGE: (batch_reader, "derived_seed"),
    Stream.MIX: (train_batch, "numpy_generator"),
    Stream.COL_OUT: (train_batch, "numpy_generator"),
    Stream.DEPTH: (optimizer_step, "torch_generator"),
}
"""Where each stream that a training in memory draws from is used."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def train(
    folder: Path, at_the_break: Callable[[], object] | None = None, recipe: Recipe = RECIPE
) -> Training:
    """Two epochs in one go, or with a break after the first, in which something may be changed."""
    results, checkpoint = [], folder / "newest"
    for result in fit(recipe):
        results.append(result.metrics())
        result.save_checkpoint(checkpoint)
        if at_the_break is not None:
            break
    if at_the_break is not None:
        at_the_break()
        for result in fit(recipe, resume_from=checkpoint):
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


@pytest.fixture(scope="module")
def whole_with_all_methods(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return train(tmp_path_factory.mktemp("whole"), recipe=ALL_METHODS)


def test_a_resumed_training_that_draws_from_every_stream_passes(
    tmp_path: Path, whole_with_all_methods: Training
):
    resumed = train(tmp_path / "resumed", lambda: None, ALL_METHODS)
    assert_same(resumed, whole_with_all_methods)


@pytest.mark.parametrize("changed", [*DRAWN_FROM])
def test_a_training_resumed_with_other_random_numbers_of_a_stream_does_not_pass(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: Stream,
    whole_with_all_methods: Training,
):
    module, name = DRAWN_FROM[changed]
    draw = getattr(module, name)

    def draw_others(seed: int, stream: Stream, *counters: int) -> Any:
        return draw(seed + (stream == changed), stream, *counters)

    resumed = train(
        tmp_path / "resumed",
        lambda: monkeypatch.setattr(module, name, draw_others),
        ALL_METHODS,
    )
    with pytest.raises(AssertionError):
        assert_same(resumed, whole_with_all_methods)
    assert points_lost(resumed, whole_with_all_methods) > 0


def test_a_point_that_is_lost_or_doubled_does_not_pass(tmp_path: Path):
    whole = train(tmp_path / "whole")
    some = next(iter(whole.points))
    for times in (0, 2):
        broken = replace(whole, points=Counter({**whole.points, some: times}))
        with pytest.raises(AssertionError):
            assert_same(broken, whole)
        assert points_lost(broken, whole) == 1
