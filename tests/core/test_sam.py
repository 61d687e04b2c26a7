import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from resnet_core.methods.sam import uphill

pytestmark = pytest.mark.usefixtures("one_thread")


class Point(nn.Module):
    """Half the squared distance from the origin, whose gradient is the point itself."""

    def __init__(self, *coordinates: float) -> None:
        super().__init__()
        self.parts = nn.ParameterList([torch.tensor([value]) for value in coordinates])

    def forward(self) -> Tensor:
        return torch.cat(list(self.parts)).square().sum() / 2


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def loss(model: nn.Module) -> Tensor:
    inputs = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))
    return (model(inputs) - 1).square().mean()


def gradients(model: nn.Module) -> list[Tensor]:
    found = [weight.grad for weight in model.parameters()]
    return [gradient.clone() for gradient in found if gradient is not None]


def sam_gradients(model: nn.Module, of: Callable[[nn.Module], Tensor], rho: float) -> list[Tensor]:
    of(model).backward()
    with uphill(model, rho=rho):
        of(model).backward()
    return gradients(model)


def test_weights_move_rho_along_the_gradient_of_all_of_them_together():
    point = Point(3.0, 4.0)
    point().backward()
    with uphill(point, rho=0.5):
        # The gradient (3, 4) has length 5.
        assert [part.item() for part in point.parts] == pytest.approx([3.3, 4.4], rel=1e-6)


def test_the_gradient_taken_inside_is_that_of_the_moved_weights():
    point = Point(3.0, 4.0)
    found = sam_gradients(point, lambda model: model(), rho=0.5)
    assert [gradient.item() for gradient in found] == pytest.approx([3.3, 4.4], rel=1e-6)


def test_the_gradient_is_that_of_two_passes_written_by_hand():
    ours, by_hand = network(), network()
    found = sam_gradients(ours, loss, rho=0.1)

    loss(by_hand).backward()
    length = sum(gradient.square().sum() for gradient in gradients(by_hand)) ** 0.5
    with torch.no_grad():
        for weight, gradient in zip(by_hand.parameters(), gradients(by_hand), strict=True):
            weight += 0.1 * gradient / length
    by_hand.zero_grad()
    loss(by_hand).backward()
    for ours_one, by_hand_one in zip(found, gradients(by_hand), strict=True):
        # Float32 norms added up in two orders.
        torch.testing.assert_close(ours_one, by_hand_one, rtol=1e-4, atol=1e-6)


def test_weights_come_back_bit_by_bit():
    model = network()
    before = copy.deepcopy(model)
    sam_gradients(model, loss, rho=0.37)
    for weight, old in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(weight, old)


def test_weights_come_back_after_an_exception():
    point = Point(3.0, 4.0)
    point().backward()
    with pytest.raises(RuntimeError, match="out of memory"), uphill(point, rho=0.5):
        raise RuntimeError("out of memory")
    assert [part.item() for part in point.parts] == [3, 4]


def test_the_gradient_that_showed_the_way_is_dropped():
    point = Point(3.0, 4.0)
    point().backward()
    with uphill(point, rho=0.5):
        assert [part.grad for part in point.parts] == [None, None]


def test_statistics_are_those_of_the_first_pass_alone():
    ours, plain = network(), network()
    sam_gradients(ours, loss, rho=0.1)
    loss(plain)
    for name, buffer in plain.named_buffers():
        assert torch.equal(ours.get_buffer(name), buffer), name
    assert ours.get_buffer("1.num_batches_tracked").item() == 1


def test_statistics_are_kept_again_afterwards():
    model = network()
    sam_gradients(model, loss, rho=0.1)
    loss(model)
    assert model.get_buffer("1.num_batches_tracked").item() == 2


def test_statistics_are_kept_again_after_an_exception():
    model = network()
    loss(model).backward()
    with pytest.raises(RuntimeError, match="out of memory"), uphill(model, rho=0.1):
        raise RuntimeError("out of memory")
    loss(model)
    assert model.get_buffer("1.num_batches_tracked").item() == 2


def test_a_norm_that_keeps_no_statistics_keeps_none_afterwards():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False))
    sam_gradients(model, loss, rho=0.1)
    assert [module.track_running_stats for module in model if isinstance(module, nn.BatchNorm1d)
            ] == [False]  # fmt: skip


def test_multiplying_the_loss_changes_nothing_of_the_way():
    ours, scaled = network(), network()
    loss(ours).backward()
    (1024 * loss(scaled)).backward()
    with uphill(ours, rho=0.1), uphill(scaled, rho=0.1):
        for weight, other in zip(ours.parameters(), scaled.parameters(), strict=True):
            # A power of two rounds nothing.
            assert torch.equal(weight, other)


def test_where_the_gradient_is_not_finite_the_one_taken_inside_is_not_either():
    model = network()
    (torch.inf * loss(model)).backward()
    with uphill(model, rho=0.1):
        loss(model).backward()
    assert not any(gradient.isfinite().all() for gradient in gradients(model))
    assert all(weight.isfinite().all() for weight in model.parameters())


def test_a_frozen_weight_stays_where_it_is():
    point = Point(3.0, 4.0, 5.0)
    point.parts[2].requires_grad_(requires_grad=False)
    point().backward()
    with uphill(point, rho=0.5):
        assert [part.item() for part in point.parts] == pytest.approx([3.3, 4.4, 5], rel=1e-6)


def test_the_memory_layout_of_the_weights_is_kept():
    layer = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    layer(torch.ones(1, 3, 4, 4)).sum().backward()
    with uphill(layer, rho=0.5):
        pass
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
