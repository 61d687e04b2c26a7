"""Bytes and epochs of a training, against torch itself and arithmetic."""

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
