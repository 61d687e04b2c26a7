from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torchvision
from pydantic import ValidationError
from torch import Tensor, nn

from resnet_core.decoupled_sgdw import DecoupledSGDW
from resnet_core.optimizer import (
    OptimizerConfig,
    build_optimizer,
    parameter_groups,
    set_learning_rate,
)

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


def build(section: dict, layers: nn.Module) -> torch.optim.Optimizer:
    return build_optimizer(layers, OptimizerConfig.model_validate(section), 0.1)


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


def resnet18_groups(*, decay_norms_and_biases: bool) -> list[dict[str, Any]]:
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    return parameter_groups(model, 5e-4, decay_norms_and_biases=decay_norms_and_biases)


def test_norms_and_biases_of_resnet18_are_41_parameters_without_decay():
    decayed, spared = resnet18_groups(decay_norms_and_biases=False)
    # 20 convolutions and fc.weight; gamma and beta of 20 batch norms, and fc.bias.
    assert (len(decayed["params"]), decayed["weight_decay"]) == (21, 5e-4)
    assert (len(spared["params"]), spared["weight_decay"]) == (41, 0.0)
    # Batch norms: the stem's and layer1's of 64, then 5 each (one of a shortcut) of 128, 256, 512.
    assert sum(weight.numel() for weight in spared["params"]) == (
        2 * (5 * 64 + 5 * 128 + 5 * 256 + 5 * 512) + 1000
    )
    # Of the 11,689,512 that torchvision documents.
    assert sum(weight.numel() for weight in decayed["params"]) == 11_689_512 - 10_600


def test_by_default_all_62_parameters_of_resnet18_decay():
    (group,) = resnet18_groups(decay_norms_and_biases=True)
    assert (len(group["params"]), group["weight_decay"]) == (62, 5e-4)


def test_a_norm_is_told_by_its_type_and_not_by_its_name():
    layers = nn.ModuleDict(
        {
            "norm": nn.Conv2d(1, 4, 3, bias=False),
            "first": nn.BatchNorm2d(4),
            "second": nn.GroupNorm(2, 4),
            "third": nn.LayerNorm(4),
            "fourth": nn.InstanceNorm2d(4, affine=True),
        }
    )
    decayed, spared = parameter_groups(layers, 0.1, decay_norms_and_biases=False)
    assert [id(weight) for weight in decayed["params"]] == [id(layers["norm"].weight)]
    expected = {id(weight) for name in ("first", "second", "third", "fourth")
                for weight in layers[name].parameters()}  # fmt: skip
    assert {id(weight) for weight in spared["params"]} == expected


def test_a_model_of_nothing_but_norms_has_one_group_without_decay():
    (group,) = parameter_groups(nn.BatchNorm2d(4), 0.1, decay_norms_and_biases=False)
    assert (len(group["params"]), group["weight_decay"]) == (2, 0.0)


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)
    )


def train(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    images = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        optimizer.zero_grad()
        network(images).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("section", "torchs"),
    [
        (
            {"sgd": {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.3}},
            lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, fused=True),
        ),
        (
            {"adamw": {"learning_rate": 0.1, "weight_decay": 0.3}},
            lambda groups: torch.optim.AdamW(groups, lr=0.1, fused=True),
        ),
    ],
    ids=["sgd", "adamw"],
)
def test_without_decay_of_norms_and_biases_the_optimizer_is_torchs_with_two_groups(
    section, torchs, one_thread
):
    ((name, settings),) = section.items()
    ours, trusted = small_network(), small_network()
    train(ours, build({name: {**settings, "decay_norms_and_biases": False}}, ours))
    groups = [
        {"params": [trusted[0].weight, trusted[4].weight], "weight_decay": 0.3},
        {
            "params": [trusted[0].bias, trusted[1].weight, trusted[1].bias, trusted[4].bias],
            "weight_decay": 0.0,
        },
    ]
    train(trusted, torchs(groups))
    for our_weight, trusted_weight in zip(ours.parameters(), trusted.parameters(), strict=True):
        assert torch.equal(our_weight, trusted_weight)


def test_decoupled_sgdw_does_not_decay_norms_and_biases_where_told_so():
    network = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    for weight in network.parameters():
        nn.init.constant_(weight, 2.0)
        weight.grad = torch.zeros_like(weight)
    settings = {"learning_rate": 0.1, "weight_decay": 0.25, "decay_norms_and_biases": False}
    build({"decoupled_sgdw": settings}, network).step()
    # weight, bias, gamma, beta
    assert [weight.item() for weight in network.parameters()] == [1.5, 2.0, 2.0, 2.0]


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
