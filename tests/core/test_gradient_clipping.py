import pytest
import torch
from torch import Tensor, nn

from resnet_core.methods.gradient_clipping import clip_gradients
from resnet_core.methods.section import GradientClippingConfig


def clipped(*gradients: list[float] | None, **settings: object) -> list[list[float] | None]:
    weights = []
    for gradient in gradients:
        weights.append(nn.Parameter(torch.zeros(len(gradient or [0]))))
        weights[-1].grad = None if gradient is None else torch.tensor(gradient)
    clip_gradients(weights, GradientClippingConfig.model_validate(settings))
    return [None if weight.grad is None else weight.grad.tolist() for weight in weights]


def test_the_norm_of_all_gradients_together_is_brought_down_to_the_threshold():
    # The norm of (2, 4, 4, 8) is 10; torch divides by it plus 1e-6.
    first, second = clipped([2.0, 4.0], [4.0, 8.0], threshold=1.0)
    assert first == pytest.approx([0.2, 0.4], rel=1e-6)
    assert second == pytest.approx([0.4, 0.8], rel=1e-6)


@pytest.mark.parametrize("kind", ["norm", "value"])
def test_gradients_below_the_threshold_are_left_as_they_are(kind):
    assert clipped([3.0], [4.0], threshold=5.01, kind=kind) == [[3.0], [4.0]]


def test_the_norm_is_what_is_limited_unless_told_otherwise():
    assert GradientClippingConfig(threshold=1.0).kind == "norm"


def test_clipping_by_value_limits_each_entry_by_itself():
    found = clipped([-5.0, 0.5, 1.0], [2.0, -0.25], threshold=1.0, kind="value")
    assert found == [[-1.0, 0.5, 1.0], [1.0, -0.25]]


@pytest.mark.parametrize("kind", ["norm", "value"])
def test_weights_without_gradient_are_passed_over(kind):
    found = clipped([2.0], None, threshold=1.0, kind=kind)
    assert found[0] == pytest.approx([1.0], rel=1e-6)
    assert found[1] is None


@pytest.mark.parametrize("kind", ["norm", "value"])
def test_a_generator_of_weights_is_clipped_whole(kind):
    # `model.parameters()` can be walked through only once.
    layers = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    for weight in layers.parameters():
        weight.grad = torch.full_like(weight, 5.0)
    clip_gradients(layers.parameters(), GradientClippingConfig(threshold=2.0, kind=kind))
    # Four equal entries whose norm is 2 are 1 each.
    expected = [1.0 if kind == "norm" else 2.0] * 4
    found = [weight.grad.item() for weight in layers.parameters() if weight.grad is not None]
    assert found == pytest.approx(expected, rel=1e-6)


def gradient_of(layer: nn.Conv2d) -> Tensor:
    assert layer.weight.grad is not None
    return layer.weight.grad


@pytest.mark.parametrize("kind", ["norm", "value"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_keep_their_memory_layout(memory_format, kind):
    layer = nn.Conv2d(3, 4, 3).to(memory_format=memory_format)
    layer(torch.ones(1, 3, 4, 4)).sum().backward()
    gradient_before, strides = gradient_of(layer), gradient_of(layer).stride()
    clip_gradients(layer.parameters(), GradientClippingConfig(threshold=0.1, kind=kind))
    assert gradient_of(layer) is gradient_before
    assert gradient_of(layer).stride() == strides == layer.weight.stride()
