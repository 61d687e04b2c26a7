import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from resnet_core.methods.ema import Ema


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def one_weight(value: float) -> nn.Module:
    layer = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(layer.weight, value)
    return layer


def wander(model: nn.Module, generator: torch.Generator) -> None:
    """New weights, and statistics of a new batch."""
    with torch.no_grad():
        for weight in model.parameters():
            weight += torch.randn(weight.shape, generator=generator)
    model(torch.randn(5, 3, generator=generator))


@pytest.mark.parametrize(
    ("half_life", "interval", "smoothing"),
    [(100, 20, 2**-0.2), (1, 1, 0.5), (10, 10, 0.5), (5, 10, 0.25)],
)
def test_an_update_keeps_two_to_the_minus_interval_over_half_life(half_life, interval, smoothing):
    ema = Ema(one_weight(1.0), half_life_steps=half_life, update_interval_steps=interval)
    assert ema.smoothing == pytest.approx(smoothing, rel=1e-15)


@pytest.mark.parametrize(("half_life", "interval"), [(100, 20), (7, 1), (12, 12), (60, 4)])
def test_after_the_half_life_the_old_weight_counts_half(half_life, interval):
    ema = Ema(one_weight(1.0), half_life_steps=half_life, update_interval_steps=interval)
    model = one_weight(0.0)
    for completed in range(1, half_life + 1):
        ema.update(model, completed)
    # A rounding of 1e-16 an update.
    assert float(ema.model.get_parameter("weight")) == pytest.approx(0.5, abs=1e-14)


def test_weights_change_at_the_end_of_each_interval_alone():
    ema = Ema(one_weight(1.0), half_life_steps=3, update_interval_steps=3)
    model = one_weight(0.0)
    seen = []
    for completed in range(1, 8):
        ema.update(model, completed)
        seen.append(float(ema.model.get_parameter("weight")))
    assert seen == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_weights_and_statistics_are_averaged_as_torch_does():
    model, generator = network(), torch.Generator().manual_seed(1)
    ema = Ema(model, half_life_steps=4, update_interval_steps=1)
    trusted = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5**0.25), use_buffers=True)
    trusted.update_parameters(model)  # torch's first update is the copy that ours begins with
    for completed in range(1, 6):
        wander(model, generator)
        ema.update(model, completed)
        trusted.update_parameters(model)
    averages = trusted.module.state_dict()
    for name, value in ema.model.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(value, averages[name]), name


def test_integer_buffers_are_copied():
    model, generator = network(), torch.Generator().manual_seed(1)
    ema = Ema(model, half_life_steps=100, update_interval_steps=1)
    for completed in range(1, 4):
        wander(model, generator)
        ema.update(model, completed)
    assert ema.model.state_dict()["1.num_batches_tracked"].item() == 3


def test_the_average_begins_equal_to_the_model():
    model = network()
    ema = Ema(model, half_life_steps=4, update_interval_steps=1)
    for name, value in model.state_dict().items():
        assert torch.equal(ema.model.state_dict()[name], value), name


def test_the_average_is_a_copy_in_evaluation_mode_without_gradients():
    model = network()
    ema = Ema(model, half_life_steps=4, update_interval_steps=1)
    assert not any(module.training for module in ema.model.modules())
    assert not any(weight.requires_grad for weight in ema.model.parameters())


def test_following_leaves_the_model_as_it_is():
    model = network()
    before: dict[str, Tensor] = {name: value.clone() for name, value in model.state_dict().items()}
    ema = Ema(model, half_life_steps=1, update_interval_steps=1)
    wander(ema.model, torch.Generator().manual_seed(1))
    ema.update(model, 1)
    assert all(module.training for module in model.modules())
    assert all(weight.requires_grad for weight in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
