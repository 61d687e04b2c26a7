import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_core import Recipe, fit
from resnet_core.checkpoint import load_checkpoint
from resnet_core.training import Training
from tests.core.tiny_recipe import full_recipe

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
TIMES = {"images_per_second", "data_wait_share", "elapsed_seconds"}
ADAMW = {"adamw": {"learning_rate": 1e-3, "weight_decay": 0.05}}
RECIPES = {
    "sgd, every method": full_recipe(),
    "adamw in bf16": full_recipe(optimizer=ADAMW, precision="bf16"),
    # Its first loss scale overflows, so that steps are skipped and the scale moves.
    "decoupled sgd in fp16": full_recipe(
        optimizer={"decoupled_sgdw": {"learning_rate": 0.02, "momentum": 0.9}}, precision="fp16"
    ),
}
SEED = random.randrange(10**6)
DRAW = random.Random(SEED)
# 3 steps an epoch; the last of an epoch, before its evaluation, is always among them.
STOPS = sorted([DRAW.choice([3, 6, 9]), *DRAW.sample([1, 2, 4, 5, 7, 8], 2)])


@dataclass
class Whole:
    """A recipe trained without a break: what it ended with, and its checkpoints at STOPS."""

    recipe: Recipe
    results: list[dict[str, Any]]
    states: dict[str, Any]
    folder: Path


def train(recipe: Recipe, folder: Path, resume_from: Path | None = None) -> Whole:
    def keep(training: Training) -> None:
        if resume_from is None and training.step in STOPS:
            training.save_checkpoint(folder / f"step{training.step}")

    results = []
    for result in fit(recipe, resume_from=resume_from, after_step=keep):
        results.append(result.metrics())
        result.save_checkpoint(folder / "last")
    states, _ = load_checkpoint(folder / "last", CPU)
    return Whole(recipe, results, states, folder)


@pytest.fixture(scope="module", params=RECIPES.values(), ids=list(RECIPES))
def whole(request, one_thread, tmp_path_factory) -> Whole:
    return train(request.param, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("stop", range(len(STOPS)))
def test_training_resumed_after_any_step_ends_with_the_same_bits(whole, stop, tmp_path):
    print(f"stop points {STOPS} of seed {SEED}")
    at = STOPS[stop]
    resumed = train(whole.recipe, tmp_path, whole.folder / f"step{at}")
    torch.testing.assert_close(resumed.states, whole.states, rtol=0, atol=0)
    expected = whole.results[(at - 1) // 3 :]
    for found, wanted in zip(resumed.results, expected, strict=True):
        assert {name: found[name] for name in found.keys() - TIMES} == {
            name: wanted[name] for name in wanted.keys() - TIMES
        }


def test_a_checkpoint_within_an_epoch_tells_its_step(whole):
    _, manifest = load_checkpoint(whole.folder / f"step{STOPS[0]}", CPU)
    assert manifest.step == STOPS[0]
    assert manifest.epoch == (STOPS[0] - 1) // 3  # whose result was given


def test_what_after_step_raises_ends_the_training():
    class Preempted(Exception):
        pass

    def preempt(training: Training) -> None:
        if training.step == 2:
            raise Preempted

    with pytest.raises(Preempted):
        next(fit(full_recipe(), after_step=preempt))


def test_epochs_leave_torchs_global_random_numbers_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    next(fit(full_recipe()))
    assert torch.equal(torch.get_rng_state(), before)
