"""Timing a recipe: it takes real steps, tells positive numbers and leaves nothing behind."""

import math
from dataclasses import astuple

import pytest
import torch

from resnet_core.data.dataset import StreamedSplit
from resnet_core.data.packed.images import PackedImages
from resnet_core.data.section import DataConfig
from resnet_core.data.sources import load_data
from resnet_core.problems import CannotTrain
from sweeps.planning.calibrate import (
    TIMED_STEPS,
    WARM_UP_STEPS,
    CannotCalibrate,
    _first,
    measure,
)
from sweeps.planning.plan import plan_sweep
from sweeps.planning.text import plan_lines
from sweeps.planning.timing import Span, Timing, interpolated
from tests.core.packed_images import make_packed
from tests.core.tiny_recipe import full_recipe, tiny_recipe
from tests.sweeps.test_plan import HEAD, RECIPE, SPACE

CPU = torch.device("cpu")


def timing(step_seconds: float, *, num_train: int = 100, num_validation: int = 20) -> Timing:
    return Timing(
        step_seconds=Span(step_seconds, step_seconds, step_seconds),
        evaluation_seconds=1.0,
        checkpoint_seconds=4.0,
        num_train=num_train,
        num_validation=num_validation,
    )


@pytest.mark.parametrize("recipe", [tiny_recipe(), full_recipe()], ids=["tiny", "every method"])
def test_what_is_measured_is_positive_and_finite(recipe):
    found = measure(recipe, num_workers=1, device=CPU, threads=1)
    seconds = [*astuple(found.step_seconds), found.evaluation_seconds, found.checkpoint_seconds]
    assert all(math.isfinite(one) and one > 0 for one in seconds)
    assert found.step_seconds.low <= found.step_seconds.mid <= found.step_seconds.high
    assert (found.num_train, found.num_validation) == (56, 25)


def test_the_steps_that_warm_up_are_not_timed(monkeypatch):
    from sweeps.planning import calibrate

    takes = []

    class Counted(calibrate.OptimizerStep):
        def take(self, images, targets):
            takes.append(len(images))
            return super().take(images, targets)

    monkeypatch.setattr(calibrate, "OptimizerStep", Counted)
    monkeypatch.setattr(calibrate, "_span", lambda seconds: Span(0, len(seconds), 0))
    found = measure(tiny_recipe(), num_workers=2, device=CPU, threads=1)
    assert takes == [8] * (WARM_UP_STEPS + TIMED_STEPS)  # a worker's half of 16 images
    assert found.step_seconds.mid == pytest.approx(TIMED_STEPS / 8)


def test_threads_and_random_numbers_are_as_before():
    before = torch.get_num_threads(), torch.get_rng_state()
    model = {"name": "resnet_20", "num_classes": 4}
    measure(tiny_recipe(model=model), num_workers=1, device=CPU, threads=before[0] + 1)
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_a_recipe_that_does_not_fit_is_not_tried():
    with pytest.raises(CannotCalibrate, match=r"it needs about 1000000\.0 GB of memory"):
        measure(tiny_recipe(), num_workers=1, device=CPU, threads=1, needed_bytes=10**15)


def test_a_batch_larger_than_the_data_is_refused():
    recipe = tiny_recipe().model_copy(update={"train_batch_size": 64})
    with pytest.raises(CannotTrain, match="more than the 56 training images"):
        measure(recipe, num_workers=1, device=CPU, threads=1)


def test_an_epoch_has_whole_batches_an_evaluation_and_a_checkpoint():
    # 100 images make 3 batches of 32; two workers halve everything but the checkpoint.
    assert timing(0.5).epoch_seconds(32, num_workers=1).mid == 96 * 0.5 + 20 * 1.0 + 4.0
    assert timing(0.5).epoch_seconds(32, num_workers=2).mid == 48 * 0.5 + 10 * 1.0 + 4.0


@pytest.mark.parametrize(
    ("flops", "seconds"),
    [(10.0, 1.0), (20.0, 2.0), (30.0, 3.0), (60.0, 6.0), (5.0, 1.0)],
    ids=["measured", "between", "last", "twice the last", "below the first"],
)
def test_times_lie_between_the_measured_ones(flops, seconds):
    pairs = [(10.0, timing(1.0)), (30.0, timing(3.0))]
    assert interpolated(pairs, flops).step_seconds.mid == pytest.approx(seconds)


def test_a_calibrated_plan_tells_hours_and_writes_nothing(load, tmp_path):
    sets = [f"storage.path={tmp_path / 'results'}", "budget.wall_clock=10h"]
    sets.append("resources.max_concurrent_trials=2")
    sweep = load(SPACE, sets, head=HEAD, recipe=RECIPE)
    before = sorted(tmp_path.rglob("*"))
    told: list[str] = []
    plan = plan_sweep(sweep, calibrate=True, on_progress=told.append)
    assert sorted(tmp_path.rglob("*")) == before
    assert told == [
        "timing the recipe (resnet_20) on cpu",
        "timing the most expensive model (resnet_32) on cpu",
    ]
    hours = plan.hours
    assert hours is not None
    assert hours.wall_clock is not None
    assert hours.cost is not None
    for span in (hours.recipe, hours.trial, hours.wall_clock, hours.cost):
        assert 0 < span.low <= span.mid <= span.high < math.inf
    # Two at a time, of one CPU each.
    assert hours.wall_clock.mid == pytest.approx(hours.cost.mid / 2)
    assert hours.cost_unit == "cpu_hours"
    assert hours.num_trials_in_budget is not None
    assert any(line.startswith("hours") and "recipe about" in line for line in plan_lines(plan))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_hours_of_gpus_are_not_guessed_from_a_cpu(load):
    sweep = load(SPACE, ["resources.gpus_per_worker=1"], head=HEAD, recipe=RECIPE)
    with pytest.raises(CannotCalibrate, match="trains on GPUs and this process has none"):
        plan_sweep(sweep, calibrate=True)


def test_packed_images_are_timed_as_they_are_evaluated_and_not_one_by_one(tmp_path):
    folder, _ = make_packed(tmp_path)
    config = DataConfig.model_validate({"packed": {"path": str(folder)}})
    few = _first(load_data(config, 2, CPU).validation, 3)
    assert len(few) == 3
    assert isinstance(few, StreamedSplit)
    assert isinstance(few.dataset, PackedImages)
