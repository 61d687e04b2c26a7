"""What only a GPU can show."""

from typing import Any

import pytest
import torch

from resnet_core import fit
from resnet_core.training import Training
from tests.core.tiny_recipe import full_recipe, tiny_recipe

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize(
    "changes",
    [{}, {"precision": "fp16"}, {"precision": "bf16", "activation_checkpointing": False}],
    ids=["fp32", "fp16", "bf16"],
)
def test_no_step_waits_for_the_device(changes: dict[str, Any]):
    def watch(training: Training) -> None:
        # From the end of the first step to the end of the second: load, prepare, train.
        torch.cuda.set_sync_debug_mode("error" if training.step == 1 else "default")

    try:
        next(fit(full_recipe(**changes), after_step=watch))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_losses_of_the_gpu_are_those_of_the_cpu(precision):
    recipe = tiny_recipe(precision=precision, tf32=False)
    here = [result.train_loss for result in fit(recipe, device="cpu")]
    there = [result.train_loss for result in fit(recipe, device="cuda")]
    # Sums in another order, in 10 bits of mantissa at the least.
    assert there == pytest.approx(here, rel=1e-4 if precision == "fp32" else 3e-2)
