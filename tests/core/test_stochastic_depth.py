import pytest
import torch
from torchvision.ops import stochastic_depth

from resnet_core.methods.section import StochasticDepthConfig
from resnet_core.methods.stochastic_depth import draw_factors, drop_ratios


def config(**changes: object) -> StochasticDepthConfig:
    return StochasticDepthConfig.model_validate(changes)


def factors(
    settings: StochasticDepthConfig, *, num_blocks: int = 4, num_images: int = 6, seed: int = 0
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return draw_factors(settings, num_blocks=num_blocks, num_images=num_images, generator=generator)


def test_linear_ratios_rise_from_the_first_block_to_the_last():
    ratios = drop_ratios(config(drop_ratio=0.2), num_blocks=4)
    # l / L * 0.2, blocks counted from 1.
    torch.testing.assert_close(ratios, torch.tensor([0.05, 0.10, 0.15, 0.20]), rtol=1e-6, atol=0)


def test_uniform_ratios_are_those_of_the_last_block():
    ratios = drop_ratios(config(drop_ratio=0.2, distribution="uniform"), num_blocks=3)
    torch.testing.assert_close(ratios, torch.tensor([0.2, 0.2, 0.2]), rtol=1e-6, atol=0)


@pytest.mark.parametrize("mode", ["block", "sample"])
def test_a_branch_is_left_out_or_divided_by_the_probability_that_it_stays(mode):
    settings = config(drop_ratio=0.75, mode=mode, distribution="uniform")
    drawn = factors(settings, num_blocks=50, num_images=4)
    assert drawn.unique().tolist() == [0, 4]


@pytest.mark.parametrize("drop_ratio", [0.2, 0.5])
@pytest.mark.parametrize(("mode", "torchvisions"), [("block", "batch"), ("sample", "row")])
def test_a_branch_is_scaled_as_torchvision_does(mode, torchvisions, drop_ratio):
    torch.manual_seed(0)
    trusted = torch.stack(
        [stochastic_depth(torch.ones(8), drop_ratio, torchvisions) for _ in range(40)]
    )
    settings = config(drop_ratio=drop_ratio, mode=mode, distribution="uniform")
    drawn = factors(settings, num_blocks=40, num_images=8)
    assert trusted.unique().numel() == 2
    # One rounding of float32.
    torch.testing.assert_close(drawn.unique(), trusted.unique(), rtol=1e-6, atol=0)


def test_mode_block_leaves_a_branch_out_for_the_whole_batch():
    drawn = factors(config(drop_ratio=0.5, mode="block"), num_blocks=20, num_images=16)
    assert drawn.shape == (20, 16)
    assert torch.equal(drawn, drawn[:, :1].expand(20, 16))
    assert drawn[:, 0].unique().numel() > 1


def test_mode_sample_leaves_a_branch_out_image_by_image():
    settings = config(drop_ratio=0.5, mode="sample", distribution="uniform")
    drawn = factors(settings, num_blocks=20, num_images=64)
    assert drawn.shape == (20, 64)
    assert all(row.unique().numel() == 2 for row in drawn)


def test_blocks_are_left_out_independently():
    drawn = factors(config(drop_ratio=0.5, mode="sample", distribution="uniform"), num_images=64)
    assert len({tuple(row.tolist()) for row in drawn}) == 4


@pytest.mark.parametrize("mode", ["block", "sample"])
def test_each_block_is_left_out_as_often_as_its_ratio_says(mode):
    settings = config(drop_ratio=0.4, mode=mode)
    drawn = torch.cat(
        [factors(settings, num_images=10, seed=seed)[:, :: 10 if mode == "block" else 1]
         for seed in range(2000)], dim=1
    )  # fmt: skip
    left_out = (drawn == 0).double().mean(dim=1)
    # 2000 draws or more; the deviation of one is at most 0.5.
    tolerance = 5 * 0.5 / drawn.shape[1] ** 0.5
    expected = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.double)
    torch.testing.assert_close(left_out, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("drop_ratio", [0.1, 0.5, 0.9])
def test_the_mean_factor_is_one(drop_ratio):
    settings = config(drop_ratio=drop_ratio, mode="sample", distribution="uniform")
    drawn = factors(settings, num_blocks=1, num_images=100_000)
    deviation = (drop_ratio / (1 - drop_ratio)) ** 0.5
    assert drawn.mean().item() == pytest.approx(1, abs=5 * deviation / 100_000**0.5)


@pytest.mark.parametrize("mode", ["block", "sample"])
def test_a_ratio_of_zero_leaves_every_branch_as_it_is(mode):
    assert factors(config(drop_ratio=0.0, mode=mode), num_images=1000).unique().tolist() == [1]


@pytest.mark.parametrize("mode", ["block", "sample"])
def test_generators_in_the_same_state_agree(mode):
    settings = config(drop_ratio=0.5, mode=mode)
    first, second, other = (factors(settings, num_blocks=30, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
