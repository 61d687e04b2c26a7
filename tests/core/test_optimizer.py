"""SGD, decoupled SGDW and AdamW: their steps against torch's and the paper's, and their section."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from resnet_core.decoupled_sgdw import DecoupledSGDW
from resnet_core.optimizer import OptimizerConfig, set_learning_rate
from tests.core.optimizer_section import build

CARD = {"learning_rate": 2.048, "momentum": 0.875, "weight_decay": 5e-4}
RATES = [0.0, 0.05, 0.1, 0.07, 0.02]  # a warm-up to the initial rate 0.1, then a decay


def decoupled_by_hand(
    weight: Tensor, gradients: list[Tensor], *, momentum: float, decay: float, nesterov: bool
) -> Tensor:
    buffer = torch.zeros_like(weight)
    for gradient, rate in zip(gradients, RATES, strict=True):
        weight = weight - decay * (rate / 0.1) * weight
        buffer = momentum * buffer + gradient
        weight = weight - rate * (gradient + momentum * buffer if nesterov else buffer)
    return weight


def take_steps(optimizer: torch.optim.Optimizer, weight: Tensor, gradients: list[Tensor]) -> None:
    for gradient, rate in zip(gradients, RATES, strict=True):
        set_learning_rate(optimizer, rate)
        weight.grad = gradient.clone()
        optimizer.step()


@pytest.fixture
def gradients() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(5, generator=generator, dtype=torch.float64) for _ in RATES]


def start() -> Tensor:
    return torch.linspace(-2, 3, 5, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize(
    ("momentum", "nesterov"), [(0.0, False), (0.875, False), (0.875, True)], ids=str
)
def test_decoupled_sgdw_does_what_the_paper_says(gradients, momentum, nesterov, fused):
    weight = start()
    optimizer = DecoupledSGDW(
        [weight], lr=0.1, weight_decay=0.03, momentum=momentum, nesterov=nesterov, fused=fused
    )
    take_steps(optimizer, weight, gradients)
    expected = decoupled_by_hand(
        start().detach(), gradients, momentum=momentum, decay=0.03, nesterov=nesterov
    )
    # Five steps in float64, whose roundings are 2e-16.
    torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=1e-14)


def test_decoupled_sgdw_without_decay_is_torchs_sgd(gradients):
    ours, trusted = start(), start()
    take_steps(DecoupledSGDW([ours], lr=0.1, momentum=0.9), ours, gradients)
    take_steps(torch.optim.SGD([trusted], lr=0.1, momentum=0.9), trusted, gradients)
    assert torch.equal(ours, trusted)


def test_decoupled_decay_is_as_strong_at_any_peak_learning_rate():
    weights = [torch.full((1,), 2.0, requires_grad=True) for _ in range(2)]
    for weight, peak in zip(weights, (0.1, 10.0), strict=True):
        optimizer = DecoupledSGDW([weight], lr=peak, weight_decay=0.25)
        weight.grad = torch.zeros(1)
        optimizer.step()
    assert [weight.item() for weight in weights] == [1.5, 1.5]


def test_a_weight_without_gradient_is_left_alone():
    weight = torch.ones(1, requires_grad=True)
    DecoupledSGDW([weight], lr=0.1, weight_decay=0.25).step()
    assert weight.item() == 1


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_section_sgd_is_torchs_sgd(gradients, nesterov):
    settings = {"momentum": 0.9, "weight_decay": 0.01, "nesterov": nesterov}
    layer = nn.Linear(5, 1, bias=False, dtype=torch.float64)
    trusted = layer.weight.detach()[0].clone().requires_grad_()
    ours = build({"sgd": {"learning_rate": 0.1, **settings}}, layer)
    take_steps(ours, layer.weight, [gradient[None] for gradient in gradients])
    take_steps(torch.optim.SGD([trusted], lr=0.1, **settings), trusted, gradients)
    # torch's own two implementations, fused here and not fused there, round apart.
    torch.testing.assert_close(layer.weight.detach()[0], trusted.detach(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_section_decoupled_sgdw_does_what_the_paper_says(gradients, nesterov):
    settings = {"momentum": 0.9, "weight_decay": 0.01, "nesterov": nesterov}
    layer = nn.Linear(5, 1, bias=False, dtype=torch.float64)
    weight = layer.weight.detach()[0].clone()
    ours = build({"decoupled_sgdw": {"learning_rate": 0.1, **settings}}, layer)
    take_steps(ours, layer.weight, [gradient[None] for gradient in gradients])
    expected = decoupled_by_hand(weight, gradients, momentum=0.9, decay=0.01, nesterov=nesterov)
    torch.testing.assert_close(layer.weight.detach()[0], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["sgd", "decoupled_sgdw"])
def test_the_memory_layout_of_a_weight_does_not_matter(name):
    # torch's fused kernels walk through memory; a gradient laid out otherwise would be scrambled.
    settings = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    images = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    found = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        layer = nn.Conv2d(3, 4, 3).to(memory_format=memory_format)
        optimizer = build({name: settings}, layer)
        for _ in range(3):
            optimizer.zero_grad()
            layer(images.to(memory_format=memory_format)).square().mean().backward()
            optimizer.step()
        found.append(layer.weight.detach())
    # float32 convolutions that add up in two orders.
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "decoupled_sgdw"])
def test_every_parameter_is_trained_at_the_rate_that_was_set(name):
    layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 4))
    optimizer = build({name: CARD}, layers)
    set_learning_rate(optimizer, 0.25)
    trained = [weight for group in optimizer.param_groups for weight in group["params"]]
    assert {id(weight) for weight in trained} == {id(weight) for weight in layers.parameters()}
    assert [group["lr"] for group in optimizer.param_groups] == [0.25] * len(optimizer.param_groups)


@pytest.mark.parametrize(
    ("section", "got"),
    [({}, "got none"), ({"sgd": CARD, "decoupled_sgdw": CARD}, "got sgd and decoupled_sgdw")],
)
def test_one_optimizer_is_chosen(section, got):
    with pytest.raises(ValidationError, match=f"choose one of sgd, decoupled_sgdw, adamw, {got}"):
        OptimizerConfig.model_validate(section)


@pytest.mark.parametrize(
    "change",
    [{"learning_rate": 0}, {"momentum": 1}, {"momentum": -0.1}, {"weight_decay": -1e-4}],
    ids=str,
)
def test_what_no_optimizer_takes_is_refused(change):
    (name,) = change
    with pytest.raises(ValidationError, match=rf"sgd\.{name}"):
        OptimizerConfig.model_validate({"sgd": {**CARD, **change}})


def test_the_cards_decay_taken_as_coupled_is_advised_against_with_the_equivalent():
    # 5e-4 * (1 - 0.875) / 2.048 = 1 / 32768 = 3.05e-05
    config = OptimizerConfig.model_validate({"sgd": CARD})
    (advice,) = config.advice(2.048)
    assert "write decoupled_sgdw, or sgd with the equivalent weight_decay 3.05e-05" in advice


@pytest.mark.parametrize(
    ("section", "peak"),
    [
        ({"decoupled_sgdw": CARD}, 2.048),
        ({"adamw": {"learning_rate": 1e-3, "weight_decay": 0.05}}, 1e-3),
        ({"sgd": {**CARD, "weight_decay": 1 / 32768}}, 2.048),
        # The published coupled recipes: torchvision's ImageNet, and the CIFAR ResNets'.
        ({"sgd": {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1e-4}}, 0.1),
        ({"sgd": {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4}}, 0.1),
    ],
)
def test_a_decay_of_the_usual_strength_needs_no_advice(section, peak):
    assert OptimizerConfig.model_validate(section).advice(peak) == []


def test_the_section_adamw_is_torchs_adamw(gradients):
    layer = nn.Linear(5, 1, bias=False, dtype=torch.float64)
    trusted = layer.weight.detach()[0].clone().requires_grad_()
    settings = {"learning_rate": 0.1, "weight_decay": 0.05, "beta1": 0.8, "beta2": 0.95}
    take_steps(
        build({"adamw": {**settings, "eps": 1e-6}}, layer),
        layer.weight,
        [gradient[None] for gradient in gradients],
    )
    torchs = torch.optim.AdamW(
        [trusted], lr=0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.05, fused=False
    )
    take_steps(torchs, trusted, gradients)
    # torch's own two implementations, fused here and not fused there, round apart.
    torch.testing.assert_close(layer.weight.detach()[0], trusted.detach(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["sgd", "decoupled_sgdw"])
def test_nesterov_without_momentum_is_refused(name):
    with pytest.raises(ValidationError, match=r"along the momentum, which is 0; set momentum"):
        OptimizerConfig.model_validate({name: {"learning_rate": 0.1, "nesterov": True}})


@pytest.mark.parametrize("change", [{"beta1": 1}, {"beta2": 1}, {"eps": 0}, {"momentum": 0.9}])
def test_what_adamw_does_not_take_is_refused(change):
    (name,) = change
    with pytest.raises(ValidationError, match=rf"adamw\.{name}"):
        OptimizerConfig.model_validate({"adamw": {"learning_rate": 0.1, **change}})


def test_each_group_of_decoupled_sgdw_has_its_own_decay():
    weights = [torch.full((1,), 2.0, requires_grad=True) for _ in range(3)]
    groups: list[dict[str, Any]] = [
        {"params": [weights[0]], "weight_decay": 0.25},
        {"params": [weights[1]], "weight_decay": 0.0},
        {"params": [weights[2]]},
    ]
    optimizer = DecoupledSGDW(groups, lr=0.1, weight_decay=0.5)
    for weight in weights:
        weight.grad = torch.zeros(1)
    optimizer.step()
    assert [weight.item() for weight in weights] == [1.5, 2.0, 1.0]
