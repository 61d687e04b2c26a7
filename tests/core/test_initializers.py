import math

import pytest
import torch
from torch import nn

from resnet_core.methods.squeeze_excite import SqueezeExcite
from resnet_core.models.initializers import initialize

# 64 channels of 3x3 in, 128 out: 73,728 weights, fan-in 576, fan-out 1152.
FAN_IN, FAN_OUT = 64 * 9, 128 * 9


@pytest.fixture
def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(64, 128, 3), nn.BatchNorm2d(128), nn.Linear(512, 1000))


def weights(layers: nn.Sequential, index: int) -> torch.Tensor:
    weight = layers[index].weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach()


@pytest.mark.parametrize(
    ("name", "variance_of_convolution", "variance_of_linear"),
    [
        ("kaiming_normal", 2 / FAN_IN, 2 / 512),
        ("kaiming_uniform", 2 / FAN_IN, 2 / 512),
        ("xavier_normal", 2 / (FAN_IN + FAN_OUT), 2 / (512 + 1000)),
        ("xavier_uniform", 2 / (FAN_IN + FAN_OUT), 2 / (512 + 1000)),
    ],
)
def test_weights_spread_as_the_papers_say(
    layers, name, variance_of_convolution, variance_of_linear
):
    # He et al. 2015, arXiv:1502.01852, eq. 10; Glorot & Bengio 2010, eq. 12 and 16.
    initialize(layers, [name])
    for index, variance in ((0, variance_of_convolution), (2, variance_of_linear)):
        # The standard error of a spread over 73,728 weights is 0.26 %; 1.5 % is beyond five.
        assert weights(layers, index).std().item() == pytest.approx(math.sqrt(variance), rel=0.015)


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("kaiming_uniform", math.sqrt(6 / FAN_IN)),
        ("xavier_uniform", math.sqrt(6 / (FAN_IN + FAN_OUT))),
    ],
)
def test_uniform_weights_fill_their_bounds(layers, name, bound):
    initialize(layers, [name])
    largest = weights(layers, 0).abs().max().item()
    # The largest of 73,728 lies within 1/1000 of the bound but for odds of e^-73.
    assert 0.999 * bound < largest <= bound


def test_bn_uniform_draws_gamma_from_zero_to_one_and_beta_is_zero(layers):
    nn.init.ones_(layers[1].bias)
    initialize(layers, ["bn_uniform"])
    gamma = weights(layers, 1)
    assert gamma.min() >= 0
    assert gamma.max() < 1
    # 128 draws: the mean's standard error is 1 / sqrt(12 * 128) = 0.026.
    assert gamma.mean().item() == pytest.approx(0.5, abs=0.13)
    assert layers[1].bias.eq(0).all()


def test_bn_ones_sets_gamma_to_one_and_beta_to_zero(layers):
    nn.init.zeros_(layers[1].weight)
    nn.init.ones_(layers[1].bias)
    initialize(layers, ["bn_ones"])
    assert weights(layers, 1).eq(1).all()
    assert layers[1].bias.eq(0).all()


def test_linear_log_constant_bias_is_minus_the_log_of_the_number_of_classes(layers):
    initialize(layers, ["linear_log_constant_bias"])
    # ln 1000 = 6.907755
    torch.testing.assert_close(layers[2].bias.detach(), torch.full((1000,), -6.907755))


@pytest.mark.parametrize(
    ("name", "touched"),
    [
        ("kaiming_normal", {"0.weight", "2.weight"}),
        ("xavier_uniform", {"0.weight", "2.weight"}),
        ("bn_ones", {"1.weight", "1.bias"}),
        ("linear_log_constant_bias", {"2.bias"}),
    ],
)
def test_an_initializer_leaves_the_other_parameters_alone(layers, name, touched):
    for parameter in layers.parameters():
        nn.init.constant_(parameter, 7)
    initialize(layers, [name])
    changed = {name for name, values in layers.named_parameters() if not values.eq(7).all()}
    assert changed == touched


ALL = [
    "kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform",
    "bn_uniform", "bn_ones", "linear_log_constant_bias",
]  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_the_type_and_the_device_of_the_parameters_stay(layers, name):
    layers.to("meta", torch.bfloat16)
    initialize(layers, [name])
    kept = {(parameter.dtype, parameter.device.type) for parameter in layers.parameters()}
    assert kept == {(torch.bfloat16, "meta")}


@pytest.mark.parametrize("name", ALL)
def test_the_biases_of_squeeze_excite_stay_zero_whatever_the_initializer(name):
    gate = SqueezeExcite(64, reduction=4)
    initialize(gate, [name])
    assert gate.fc1.bias.eq(0).all()  # pyright: ignore[reportOptionalMemberAccess]
    assert gate.fc2.bias.eq(0).all()  # pyright: ignore[reportOptionalMemberAccess]


def test_the_convolutions_of_squeeze_excite_are_drawn_over_their_fan_in():
    gate = SqueezeExcite(1024, reduction=16)
    initialize(gate, ["kaiming_normal"])
    # 65,536 weights: the standard error of the spread is 0.28 %; 1.5 % is beyond five.
    assert gate.fc1.weight.std().item() == pytest.approx(math.sqrt(2 / 1024), rel=0.015)
    assert gate.fc2.weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.015)


def test_later_names_win(layers):
    initialize(layers, ["bn_uniform", "bn_ones"])
    assert weights(layers, 1).eq(1).all()
    initialize(layers, ["bn_ones", "bn_uniform"])
    assert weights(layers, 1).lt(1).all()


def test_an_unknown_name_is_refused_with_those_that_are_known(layers):
    with pytest.raises(ValueError, match=r"unknown initializer 'he'; allowed: kaiming_normal, "):
        initialize(layers, ["he"])  # pyright: ignore[reportArgumentType]
