"""The shipped recipes: each says where it comes from, loads, builds and trains."""

import numpy as np
import pytest

from resnet_core import Recipe
from resnet_core.schedule import DecayToFloor, Multiplier, build_schedule
from tests.core.shipped_recipes import FOLDER, header, load

FILES = sorted(FOLDER.glob("*.yaml"))
IMAGENET_NUM_TRAIN = 1_281_167

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@each_file
@pytest.mark.parametrize("key", ["source", "published", "command"])
def test_a_recipe_tells_its_source_what_was_published_and_a_command(file, key):
    assert header(file)[key]


@each_file
def test_the_command_of_a_recipe_trains_that_file(file):
    expected = f"python -m sweeps train configs/recipes/{file.name}"
    assert header(file)["command"].startswith(expected)


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.stem != "resnet18_digits"], ids=lambda file: file.stem
)
def test_a_published_recipe_says_how_it_differs_and_that_nothing_was_measured_here(file):
    words = header(file)
    assert words["differs"]
    assert "not measured here" in words["published"].replace("\n", " ")


@each_file
def test_no_line_is_longer_than_100_characters(file):
    assert [line for line in file.read_text().splitlines() if len(line) > 100] == []


@each_file
def test_a_recipe_written_out_reads_back_the_same(file, tmp_path):
    recipe = Recipe.from_yaml(file)
    copy = tmp_path / "copy.yaml"
    copy.write_text(recipe.to_yaml())
    assert Recipe.from_yaml(copy) == recipe


DECAYING = [file for file in FILES if Recipe.from_yaml(file).lr_schedulers.step_decay is None]


@pytest.mark.parametrize("file", DECAYING, ids=lambda file: file.stem)
def test_the_learning_rate_reaches_its_floor_where_training_ends_and_not_before(file):
    recipe = Recipe.from_yaml(file)
    multiplier, total_steps = schedule(recipe)
    decay = recipe.lr_schedulers.decay[1]
    assert isinstance(decay, DecayToFloor)
    floor = decay.eta_min / recipe.peak_learning_rate
    assert multiplier(total_steps) == pytest.approx(floor, abs=1e-12)
    # A cosine's last step is at most 1 / 82 of its length before its end, where it is
    # (pi / 82)**2 / 4 = 4e-4 above its floor.
    assert floor < multiplier(total_steps - 1) < floor + 5e-4


@each_file
def test_the_learning_rate_reaches_its_peak_and_never_more(file):
    recipe = Recipe.from_yaml(file)
    multiplier, total_steps = schedule(recipe)
    assert max(multiplier(step) for step in range(total_steps)) == 1


@pytest.mark.parametrize("depth", [20, 56])
def test_a_cifar_recipe_ends_at_a_hundredth_of_the_peak(depth):
    multiplier, total_steps = schedule(load(f"resnet{depth}_cifar10"))
    assert multiplier(total_steps - 1) == pytest.approx(0.01, rel=1e-12)


def schedule(recipe: Recipe) -> tuple[Multiplier, int]:
    """The multiplier of each step, and the number of steps, for the recipe's own data."""
    assert recipe.data is not None
    steps_per_epoch = (recipe.data.num_train or IMAGENET_NUM_TRAIN) // recipe.train_batch_size
    total_steps = recipe.total_steps(steps_per_epoch)
    multiplier = build_schedule(
        recipe.lr_schedulers,
        peak_learning_rate=recipe.peak_learning_rate,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
    )
    return multiplier, total_steps


@each_file
def test_a_recipe_builds_its_model_and_takes_two_optimizer_steps(file, one_thread):
    import torch

    from resnet_core import fit

    sets = [
        "data={fake: {num_train: 16, num_evaluation: 8, image_size_px: 32}}",
        "train_batch_size=8",
        "max_duration=2ba",
        "precision=fp32",  # fp16 is for GPUs, and its loss scale skips the first steps
        "loader_processes=0",
        "lr_scaling=none",
    ]
    if Recipe.from_yaml(file).methods.resolution is not None:
        sets += ["methods.resolution.train_px=32", "methods.resolution.evaluation_px=32"]
    recipe = Recipe.from_yaml(file, sets)
    # The warm-up gives step 0 the rate 0, so the weights change in step 1.
    weights: list[list[torch.Tensor]] = []

    def remember(training):
        weights.append([weight.detach().clone() for weight in training.model.parameters()])

    (result,) = fit(recipe, device="cpu", after_step=remember)
    assert result.step == 2
    assert np.isfinite([result.train_loss, result.val_loss]).all()
    assert not any(map(torch.equal, *weights))
