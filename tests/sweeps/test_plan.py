"""What a plan says: against arithmetic by hand, real optimizers and real checkpoints."""

import json
import subprocess
import sys
from typing import Any

import pytest
import torch

from resnet_core import Recipe
from resnet_core.training import Training
from sweeps.early_stopping import EarlyStoppingConfig
from sweeps.planning.epochs import expected_training, longest_training, num_epochs
from sweeps.planning.footprint import (
    architecture_cost,
    checkpoint_bytes,
    optimizer_state,
    resident_bytes,
    worker_memory,
)
from sweeps.planning.plan import plan_sweep, planned_rungs
from sweeps.planning.text import plan_lines, short
from tests.core.tiny_recipe import tiny_recipe

TINY = {"name": "resnet_20", "num_classes": 10}
RESNET18 = {"name": "resnet18", "num_classes": 10}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "momentum": {"decoupled_sgdw": {"learning_rate": 0.1, "momentum": 0.9}},
    "plain sgd": {"sgd": {"learning_rate": 0.1}},
    "adamw": {"adamw": {"learning_rate": 0.001, "decay_norms_and_biases": False}},
}


def stepped(recipe: Recipe) -> Training:
    """A training whose optimizer has its state, by a step along gradients of zero."""
    training = Training.begin(recipe, torch.device("cpu"), steps_per_epoch=3, total_steps=9)
    for weight in training.model.parameters():
        weight.grad = torch.zeros_like(weight)
    training.optimizer.step()
    return training


def stopping(**rule: Any) -> EarlyStoppingConfig:
    return EarlyStoppingConfig.model_validate(rule)


# ---- parameters, optimizer, checkpoints ---------------------------------------------------------


def test_resnet20_has_the_parameters_of_the_arithmetic():
    # Stem; 3 stages of 3 blocks of two 3x3 convolutions, the first one of a later stage with half
    # the inputs and a 1x1 projection; two numbers a channel of each norm; the head.
    parameters = 27 * 16 + 2 * 16
    for width in (16, 32, 64):
        parameters += 6 * 9 * width**2 + 6 * 2 * width
        if width > 16:
            parameters += -9 * width**2 // 2 + width**2 // 2 + 2 * width
    parameters += 64 * 10 + 10
    assert architecture_cost(tiny_recipe(model=TINY)).parameters == parameters


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_the_optimizers_state_is_as_large_as_torchs_own(optimizer):
    recipe = tiny_recipe(model=TINY, optimizer=optimizer)
    kept = [
        value
        for state in stepped(recipe).optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]
    size = sum(tensor.numel() * tensor.element_size() for tensor in kept)
    assert optimizer_state(recipe, architecture_cost(recipe)) == (size, len(kept))


@pytest.mark.parametrize("model", [TINY, RESNET18], ids=["resnet_20", "resnet18"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_checkpoint_is_as_large_as_was_said(tmp_path, model, optimizer):
    recipe = tiny_recipe(model=model, optimizer=optimizer)
    stepped(recipe).save_checkpoint(tmp_path / "ep0001")
    size = sum(file.stat().st_size for file in (tmp_path / "ep0001").iterdir())
    said = checkpoint_bytes(recipe, architecture_cost(recipe), steps_per_epoch=3)
    assert said == pytest.approx(size, rel=0.02)  # names and padding differ from tensor to tensor


def test_the_averages_of_ema_are_a_second_model_in_the_checkpoint(tmp_path):
    recipe = tiny_recipe(model=TINY, methods={"ema": {}}, precision="fp16")
    stepped(recipe).save_checkpoint(tmp_path / "ep0001")
    size = sum(file.stat().st_size for file in (tmp_path / "ep0001").iterdir())
    said = checkpoint_bytes(recipe, architecture_cost(recipe), steps_per_epoch=3)
    assert said == pytest.approx(size, rel=0.02)


# ---- memory -------------------------------------------------------------------------------------


def test_the_parts_of_a_workers_memory_are_those_of_the_arithmetic():
    data = {"fake": {"num_train": 80, "num_evaluation": 2, "image_size_px": 32}}
    recipe = tiny_recipe(model=TINY, data=data, train_batch_size=40, methods={"ema": {}, "sam": {}})
    cost = architecture_cost(recipe)
    memory = worker_memory(recipe, cost, num_workers=2)
    weights = 4 * cost.parameters
    assert memory.gradients == 2 * weights  # DDP's buckets are a second set
    assert memory.optimizer == weights  # the momentum
    assert memory.averages == cost.state_bytes + weights
    assert memory.activations == 20 * (cost.activation_bytes + 5 * 4 * cost.largest_output)
    assert memory.batch == 20 * 3 * 32 * 32 * (1 + 4 + 4)
    assert memory.data == (80 + 2 + 2) * 3 * 32 * 32
    parts = (memory.gradients, memory.optimizer, memory.averages, memory.activations, memory.batch)
    assert memory.total == cost.state_bytes + sum(parts) + memory.data


def test_micro_batches_keep_fewer_activations():
    data = {"fake": {"num_train": 80, "num_evaluation": 2, "image_size_px": 32}}
    recipe = tiny_recipe(model=TINY, data=data, train_batch_size=40, micro_batch_size=10)
    cost = architecture_cost(recipe)
    expected = 10 * (cost.activation_bytes + 5 * 4 * cost.largest_output)
    assert worker_memory(recipe, cost, num_workers=2).activations == expected


def test_an_evaluation_of_many_images_takes_more_than_a_small_training_batch():
    data = {"fake": {"num_train": 80, "num_evaluation": 500, "image_size_px": 32}}
    recipe = tiny_recipe(model=TINY, data=data, train_batch_size=2, eval_batch_size=500)
    cost = architecture_cost(recipe)
    assert cost.largest_output == 16 * 32 * 32  # the stem's
    expected = 500 * 4 * (5 * 16 * 32 * 32 + 3 * 32 * 32)
    assert worker_memory(recipe, cost, num_workers=1).activations == expected


@pytest.mark.parametrize(
    ("data", "num_images", "size_px"),
    [({"digits": {}}, 1797, 8), ({"cifar10": {}}, 60_000, 32),
     ({"cifar10": {"validation_ratio": 0}}, 60_000, 32)],
    ids=["digits", "cifar10", "cifar10 without validation"],
)  # fmt: skip
def test_a_data_set_in_memory_takes_three_bytes_a_pixel(data, num_images, size_px):
    recipe = tiny_recipe(model=TINY, data=data)
    assert resident_bytes(recipe.data) == num_images * 3 * size_px**2


# ---- epochs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "num_train", "epochs"),
    [({"max_duration": "3ep"}, None, 3), ({"max_duration": "7ba"}, 56, 3),
     ({"max_duration": "7ba"}, None, None), ({"max_duration": "3ep", "schedule_scale": 2}, 56, 6)],
    ids=["epochs", "7 steps of 3 an epoch", "steps of who knows what", "stretched"],
)  # fmt: skip
def test_the_epochs_of_a_schedule(changes, num_train, epochs):
    changes = {"lr_schedulers": {}, **changes}
    assert num_epochs(tiny_recipe(**changes), num_train) == epochs


def test_asha_on_truncated_schedules_trains_on_average_what_goes_on_from_each_rung():
    # 27 trials: all train 1 epoch, 9 of them 2 more, 3 of those 6 more, and 1 the last 18.
    rule = stopping(asha={"grace_period": "1ep"}, fidelity="truncate")
    found = expected_training(rule, 27, 27, num_trials=27)
    assert found.epochs == pytest.approx((27 * 1 + 9 * 2 + 3 * 6 + 1 * 18) / 27)
    assert found.kept == 1


def test_stretched_schedules_are_counted_from_their_beginning():
    # 27 trials train 1 epoch; 9 then 3 afresh, 3 then 9 afresh, and 1 all 27.
    rule = stopping(asha={"grace_period": "1ep"}, fidelity="stretch")
    found = expected_training(rule, 27, 27, num_trials=27)
    assert found.epochs == pytest.approx((27 * 1 + 9 * 3 + 3 * 9 + 1 * 27) / 27)
    assert found.kept == pytest.approx(1 / 27)  # rungs leave nothing behind
    longest = longest_training(rule, 27, 27)
    assert (longest.epochs, longest.kept) == (1 + 3 + 9 + 27, 1)


def test_of_few_trials_each_rung_lets_one_go_on():
    rule = stopping(asha={"grace_period": "1ep"}, fidelity="truncate")
    assert expected_training(rule, 9, 9, num_trials=2).epochs == 1 + 0.5 * 2 + 0.5 * 6


def test_hyperbands_brackets_count_with_their_shares():
    # One rung, at 3 of 9 epochs: by Hyperband's n_s = ceil(2 / (s + 1) * 3^s), 3 trials meet it
    # while 2 train everything. Of many, 3 * (3 + 6 / 3) + 2 * 9 epochs in 5 trials.
    rule = stopping(hyperband={"grace_period": "3ep"}, fidelity="truncate")
    found = expected_training(rule, 9, 9, num_trials=None)
    assert found.epochs == pytest.approx((3 * 5 + 2 * 9) / 5)


@pytest.mark.parametrize("rule", [{"median": {}}, {"pbt": {}}], ids=["median", "pbt"])
def test_rules_whose_stops_cannot_be_known_count_as_if_all_were_whole(rule):
    assert expected_training(stopping(**rule), 9, 9, num_trials=20).epochs == 9


# ---- the whole plan -----------------------------------------------------------------------------

HEAD = """\
version: 1
name: small
extends: recipe.yaml
search: {trials: 10}
early_stopping: {asha: {grace_period: 2ep, reduction_factor: 3}, fidelity: truncate}
confirm: {top_k: 2, seeds: 3}
space:
"""
SPACE = """\
  model.name: {choice: [resnet_20, resnet_32]}
  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.1, 1]}
"""
RECIPE = """\
model: {name: resnet_20, num_classes: 10}
optimizer: {decoupled_sgdw: {learning_rate: 0.1, momentum: 0.9}}
train_batch_size: 16
max_duration: 6ep
data: {fake: {num_train: 64, num_evaluation: 16, image_size_px: 8}}
"""


def test_a_plan_counts_trials_rungs_and_epochs(load):
    sweep = load(SPACE, head=HEAD, recipe=RECIPE)
    plan = plan_sweep(sweep)
    assert planned_rungs(sweep.spec, 6) == plan.rungs == [2]
    assert (plan.num_trials, plan.num_train, plan.confirmation_trainings) == (10, 64, 9)
    # Trial 0; 9 others of 2 epochs, of which 3 train 4 more; 9 confirmations.
    assert plan.epochs_expected == pytest.approx(6 + 9 * 2 + 3 * 4 + 9 * 6)
    assert plan.epochs_at_most == pytest.approx(6 + 9 * 6 + 9 * 6)
    assert plan.hours is None


def test_ranges_are_those_of_the_two_models(load):
    plan = plan_sweep(load(SPACE, head=HEAD, recipe=RECIPE))
    # ResNet-32 has two blocks more in each stage: 4 convolutions with their norms.
    more = sum(4 * (9 * width**2 + 2 * width) for width in (16, 32, 64))
    assert plan.num_models == plan.num_models_counted == 2
    assert plan.parameters.recipe == plan.parameters.low
    assert plan.parameters.high == plan.parameters.low + more
    assert plan.training_flops.high > plan.training_flops.recipe > plan.forward_flops.recipe


def test_what_constraints_refuse_is_in_no_range(load):
    head = HEAD.replace("space:\n", 'constraints: ["parameters <= 0.4M"]\nspace:\n')
    plan = plan_sweep(load(SPACE, head=head, recipe=RECIPE))
    assert plan.parameters.high == plan.parameters.recipe
    # Half of 300 draws, give or take four standard deviations.
    assert plan.violating_ratio == pytest.approx(0.5, abs=4 * 0.5 / 300**0.5)


def test_the_disk_holds_the_newest_and_the_best_of_every_training(load, tmp_path):
    sweep = load(SPACE, [f"storage.path={tmp_path / 'results'}"], head=HEAD, recipe=RECIPE)
    plan = plan_sweep(sweep)
    assert plan.disk.needed_bytes == pytest.approx((10 + 9) * 2 * plan.checkpoint_bytes.high)
    assert plan.disk.path == str(tmp_path / "results" / "small")
    assert not (tmp_path / "results").exists()


def test_what_cannot_be_known_is_said_and_not_guessed(load):
    recipe = RECIPE.replace("max_duration: 6ep", "max_duration: 60ba").replace(
        "{fake: {num_train: 64, num_evaluation: 16, image_size_px: 8}}",
        '{custom: {entry: "flowers:Flowers"}}',
    )
    head = HEAD.replace("search: {trials: 10}", "budget: {cpu_hours: 2}")
    head = "\n".join(line for line in head.splitlines() if "asha" not in line) + "\n"
    plan = plan_sweep(load(SPACE, head=head, recipe=recipe))
    assert plan.num_train is plan.recipe_epochs is plan.epochs_expected is None
    assert plan.num_trials is plan.disk.needed_bytes is None
    text = "\n".join(plan_lines(plan))
    assert "as many as the budget allows" in text
    assert "number of training images is not known" in text


def test_a_space_of_many_models_is_counted_in_part_and_says_so(load, monkeypatch):
    monkeypatch.setattr("sweeps.planning.points.MAX_MODELS", 4)
    space = "  model.num_classes: {int: [11, 70]}\n"
    plan = plan_sweep(load(space, head=HEAD, recipe=RECIPE))
    assert (plan.num_models, plan.num_models_counted) == (61, 4)
    assert "ranges are of 4 of the 61 models drawn" in plan.notes


@pytest.mark.parametrize(("last", "says"), [(8, True), (9, False)])
def test_a_space_with_fewer_points_than_trials_says_that_it_ends_the_sweep(load, last, says):
    # Ten trials: the recipe and nine more, where seeds 1 to 8 are eight points.
    plan = plan_sweep(load(f"  seed: {{int: [1, {last}]}}\n", head=HEAD, recipe=RECIPE))
    assert any("8 points, fewer than the trials" in note for note in plan.notes) is says


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "7 "), (1234, "1.23 k"), (999_999, "1 M"), (24_299_077_632, "24.3 G")],
)
def test_numbers_are_written_with_three_digits(number, text):
    assert short(number) == text


def test_the_command_prints_the_plan_and_starts_nothing(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "sweep.yaml").write_text(HEAD + SPACE)
    command = [sys.executable, "-m", "sweeps", "plan", "sweep.yaml", "--set", "search.trials=4"]
    done = subprocess.run(
        [*command, "-o", "json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    data = json.loads(done.stdout)
    assert (data["num_trials"], data["rungs"], data["hours"]) == (4, [2], None)
    assert {file.name for file in tmp_path.iterdir()} == {"recipe.yaml", "sweep.yaml"}


def test_planning_imports_no_ray_and_no_mlflow():
    code = (
        "import sys, sweeps.planning.plan, sweeps.planning.text;"
        "print([m for m in ('ray', 'mlflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
