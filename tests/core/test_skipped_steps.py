"""Steps that loss scaling skips, and the momentum that begins at zero because of them."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.core.optimizer_section import build

MOMENTUM = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.3}
SCALED = {
    "sgd": {"sgd": MOMENTUM},
    "nesterov": {"sgd": {**MOMENTUM, "nesterov": True}},
    "decoupled_sgdw": {"decoupled_sgdw": MOMENTUM},
    "adamw": {"adamw": {"learning_rate": 0.1, "weight_decay": 0.3}},
}


@pytest.fixture
def uninitialised_memory_is_nan() -> Iterator[None]:
    """Otherwise what happens to lie there may well be zero."""
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory  # pyright: ignore[reportAttributeAccessIssue]
    yield
    torch.use_deterministic_algorithms(False)


class LossScaled:
    """A layer of 5 weights whose gradients come through a loss scaler."""

    def __init__(self, section: dict[str, Any]) -> None:
        self.layer = nn.Linear(5, 1, bias=False)
        nn.init.constant_(self.layer.weight, 2.0)
        self.optimizer = build(section, self.layer)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step(self, gradient: Tensor) -> None:
        """The scale is a power of two, so it rounds nothing."""
        self.optimizer.zero_grad()
        self.scaler.scale((self.layer.weight * gradient).sum()).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def overflow(self) -> None:
        self.step(torch.tensor([1.0, torch.inf, 1.0, 1.0, 1.0]))

    def state(self) -> dict[str, Tensor]:
        state = self.optimizer.state[self.layer.weight]
        return {"weight": self.layer.weight.detach().clone()} | {
            name: value.clone() for name, value in state.items()
        }


GRADIENTS = [torch.linspace(-1, 2, 5), torch.linspace(3, 1, 5), torch.linspace(0, -2, 5)]


@pytest.mark.parametrize("name", SCALED)
def test_a_step_that_loss_scaling_skips_changes_neither_weights_nor_state(name):
    training = LossScaled(SCALED[name])
    for gradient in GRADIENTS:
        training.step(gradient)
    before = training.state()
    training.overflow()
    assert training.scaler.get_scale() == 512.0
    after = training.state()
    assert after.keys() == before.keys()
    assert [key for key in before if not torch.equal(before[key], after[key])] == []


@pytest.mark.parametrize("name", SCALED)
def test_a_first_step_that_loss_scaling_skips_does_not_change_the_weights(name):
    training = LossScaled(SCALED[name])
    training.overflow()
    assert training.layer.weight.tolist() == [[2.0] * 5]


@pytest.mark.parametrize("when", [0, 2])
@pytest.mark.parametrize("name", SCALED)
def test_a_training_goes_on_as_if_a_skipped_step_had_not_been(
    name, when, uninitialised_memory_is_nan
):
    skipping, straight = LossScaled(SCALED[name]), LossScaled(SCALED[name])
    for step, gradient in enumerate(GRADIENTS):
        if step == when:
            skipping.overflow()
        skipping.step(gradient)
        straight.step(gradient)
    assert torch.equal(skipping.layer.weight, straight.layer.weight)


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_step_after_a_skipped_first_one_is_torchs_from_zero_momentum(
    nesterov, uninitialised_memory_is_nan
):
    training = LossScaled({"sgd": {**MOMENTUM, "nesterov": nesterov}})
    training.overflow()
    training.step(GRADIENTS[0])
    trusted = torch.full((1, 5), 2.0, requires_grad=True)
    optimizer = torch.optim.SGD(
        [trusted], lr=0.1, momentum=0.9, weight_decay=0.3, nesterov=nesterov, fused=True
    )
    trusted.grad = GRADIENTS[0][None].clone()
    optimizer.step()
    assert torch.equal(training.layer.weight, trusted)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_that_begins_at_zero_gives_torchs_steps_bit_by_bit(nesterov):
    settings = {"momentum": 0.875, "weight_decay": 0.01, "nesterov": nesterov}
    generator = torch.Generator().manual_seed(2)
    layer = nn.Linear(1000, 1, bias=False)
    trusted = layer.weight.detach().clone().requires_grad_()
    ours = build({"sgd": {"learning_rate": 0.1, **settings}}, layer)
    torchs = torch.optim.SGD([trusted], lr=0.1, fused=True, **settings)
    for _ in range(4):
        gradient = torch.randn(1, 1000, generator=generator)
        layer.weight.grad, trusted.grad = gradient.clone(), gradient.clone()
        ours.step()
        torchs.step()
        assert torch.equal(layer.weight, trusted)
