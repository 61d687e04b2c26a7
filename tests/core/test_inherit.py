"""Going on from a checkpoint of another recipe."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from resnet_core import Recipe, fit
from resnet_core.checkpoint import load_checkpoint
from resnet_core.dotted_paths import field_paths
from resnet_core.inheritance import INHERITABLE
from resnet_core.problems import CannotTrain
from resnet_core.training import Training
from tests.core.tiny_recipe import tiny_recipe

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
EMA = {"ema": {"half_life": "2ba", "update_interval": "2ba"}}
NEAR: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-7}  # a few float32 roundings of a step


def recipe(*, kind: str = "sgd", methods: dict[str, Any] = EMA, **changes: Any) -> Recipe:
    settings = {
        "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.05,
        "decay_norms_and_biases": False,
    }  # fmt: skip
    return tiny_recipe(
        optimizer={kind: {**settings, **changes}},
        lr_schedulers={},
        max_duration="2ep",
        methods=methods,
    )


@pytest.fixture(scope="module")
def donors(one_thread, tmp_path_factory) -> Iterator[dict[str, Path]]:
    """A checkpoint after the first epoch, by kind of optimizer."""
    folder = tmp_path_factory.mktemp("donors")
    for kind in ("sgd", "decoupled_sgdw"):
        next(fit(recipe(kind=kind))).save_checkpoint(folder / kind)
    yield {kind: folder / kind for kind in ("sgd", "decoupled_sgdw")}
    shutil.rmtree(folder)


def begun(heir: Recipe) -> Training:
    return Training.begin(heir, CPU, steps_per_epoch=3, total_steps=6)


def first_step(heir: Recipe, donor: Path) -> dict[str, dict[str, Tensor]]:
    """Weights and momentum buffers after the first step that the heir takes, by parameter."""
    found: dict[str, dict[str, Tensor]] = {}

    def note(training: Training) -> None:
        for name, weight in training.model.named_parameters():
            if name not in found:
                buffer = training.optimizer.state[weight]["momentum_buffer"]
                found[name] = {"weight": weight.detach().clone(), "buffer": buffer.clone()}

    next(fit(heir, inherit_from=donor, after_step=note))
    return found


def before(donor: Path) -> dict[str, dict[str, Tensor]]:
    _, manifest = load_checkpoint(donor, CPU)
    training = begun(Recipe.model_validate(manifest.recipe))
    training.restore(donor)
    return {
        name: {
            "weight": weight.detach(),
            "buffer": training.optimizer.state[weight]["momentum_buffer"],
        }
        for name, weight in training.model.named_parameters()
    }


def test_everything_but_the_hyper_parameters_is_the_donors_bit_for_bit(donors):
    heir = begun(recipe(learning_rate=0.002, momentum=0.5, weight_decay=0.5))
    heir.restore(donors["sgd"], inherit=True)
    states, manifest = load_checkpoint(donors["sgd"], CPU)
    assert heir.ema is not None
    same = {
        "model": heir.model.state_dict(),
        "ema": heir.ema.model.state_dict(),
        "optimizer": heir.optimizer.state_dict()["state"],
        "log": heir.epoch_log,
    }
    expected = {
        "model": states["model"],
        "ema": states["ema"],
        "optimizer": states["optimizer"]["state"],
        "log": states["progress"]["epoch_log"],
    }
    torch.testing.assert_close(same, expected, rtol=0, atol=0)
    assert (heir.epoch, heir.step) == (manifest.epoch, manifest.step) == (1, 3)


def test_the_parameter_groups_have_the_new_values_and_keep_apart_what_does_not_decay(donors):
    heir = begun(recipe(momentum=0.5, weight_decay=0.5))
    heir.restore(donors["sgd"], inherit=True)
    groups = heir.optimizer.param_groups
    assert [(group["momentum"], group["weight_decay"]) for group in groups] == [
        (0.5, 0.5),
        (0.5, 0.0),
    ]


def test_the_next_step_is_taken_at_the_new_learning_rate(donors):
    old, new = before(donors["sgd"]), first_step(recipe(learning_rate=0.003), donors["sgd"])
    for name, after in new.items():
        expected = old[name]["weight"] - 0.003 * after["buffer"]
        torch.testing.assert_close(after["weight"], expected, **NEAR)


def test_the_next_step_decays_by_the_new_decay(donors):
    # Coupled decay is part of the buffer: decay * weight; the gradients are the same.
    old = before(donors["sgd"])
    one, other = (first_step(recipe(weight_decay=w), donors["sgd"]) for w in (0.05, 0.25))
    for name, start in old.items():
        decays = name.endswith("weight") and start["weight"].ndim > 1
        expected = (0.25 - 0.05) * start["weight"] if decays else torch.zeros(())
        difference = other[name]["buffer"] - one[name]["buffer"]
        torch.testing.assert_close(difference, expected.expand_as(difference), rtol=1e-3, atol=1e-5)


def test_the_next_step_keeps_of_the_donors_momentum_what_the_new_recipe_says(donors):
    old = before(donors["sgd"])
    one, other = (first_step(recipe(momentum=m), donors["sgd"]) for m in (0.9, 0.4))
    for name, start in old.items():
        difference = one[name]["buffer"] - other[name]["buffer"]
        torch.testing.assert_close(difference, 0.5 * start["buffer"], rtol=1e-3, atol=1e-4)


def test_decoupled_decay_belongs_to_the_new_initial_learning_rate(donors):
    donor = donors["decoupled_sgdw"]
    heir = recipe(kind="decoupled_sgdw", learning_rate=0.004, weight_decay=0.1)
    old, new = before(donor), first_step(heir, donor)
    start, after = old["conv1.weight"], new["conv1.weight"]
    # The rate is at its peak, so a step shrinks by the whole of weight_decay.
    expected = start["weight"] * (1 - 0.1) - 0.004 * after["buffer"]
    torch.testing.assert_close(after["weight"], expected, **NEAR)


def test_inheriting_from_the_same_recipe_is_resuming(donors):
    *_, heir = fit(recipe(), inherit_from=donors["sgd"])
    *_, resumed = fit(recipe(), resume_from=donors["sgd"])
    assert heir.epoch == 2
    torch.testing.assert_close(heir.model.state_dict(), resumed.model.state_dict(), rtol=0, atol=0)


def test_methods_that_leave_the_model_alone_may_come_and_go(donors):
    heir = recipe(methods={**EMA, "label_smoothing": {}, "mixup": {"alpha": 0.4}})
    assert next(fit(heir, inherit_from=donors["sgd"])).epoch == 2


@pytest.mark.parametrize(
    ("heir", "said"),
    [
        (recipe(kind="decoupled_sgdw"), r"optimizer: sgd \(here: decoupled_sgdw\)"),
        (recipe(methods={**EMA, "squeeze_excite": {}}), r"squeeze_excite\.reduction: None"),
        (recipe(methods={}), r"methods\.ema\.half_life: 2ba \(here: None\)"),
        (recipe(decay_norms_and_biases=True), r"decay_norms_and_biases: False \(here: True\)"),
        (recipe(momentum=0), r"momentum: 0\.9 \(here: 0\), and without momentum the optimizer"),
        (tiny_recipe(**{**recipe().to_dict(), "max_duration": "3ep"}), "max_duration: 2ep"),
    ],
    ids=["optimizer", "model", "ema", "groups", "momentum", "length"],
)
def test_another_structure_is_refused_in_words(donors, heir, said):
    with pytest.raises(CannotTrain, match=rf"only hyper-parameters may differ, .*{said}"):
        next(fit(heir, inherit_from=donors["sgd"]))


def test_a_training_goes_on_from_one_checkpoint_only(donors):
    with pytest.raises(ValueError, match="resume_from or inherit_from"):
        next(fit(recipe(), resume_from=donors["sgd"], inherit_from=donors["sgd"]))


def test_what_may_differ_are_fields_of_the_recipe():
    assert set(field_paths(Recipe)) >= INHERITABLE
