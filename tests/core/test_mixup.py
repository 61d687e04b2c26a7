import pytest
import torch
from torchvision.transforms import v2

from resnet_core.methods.mixup import mixup
from resnet_core.methods.partners import partners

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("num", "expected"),
    [
        (1, [0]),
        (2, [1, 0]),
        (5, [1, 0, 3, 2, 4]),  # the last one alone
        (8, [1, 0, 3, 2, 5, 4, 7, 6]),
    ],
)
def test_neighbours_are_each_others_partners(num, expected):
    assert partners(num, CPU).tolist() == expected


def batch(num: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(num, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return images, torch.eye(num)


def test_an_image_keeps_its_weight_and_its_partner_has_the_rest():
    images = torch.tensor([10.0, 20.0, 40.0, 80.0]).view(4, 1, 1, 1)
    mixed, targets = mixup(images, torch.eye(4), weight=0.75)
    # 0.75 * 10 + 0.25 * 20, and so on.
    assert mixed.flatten().tolist() == [12.5, 17.5, 50.0, 70.0]
    assert targets.tolist() == [
        [0.75, 0.25, 0.0, 0.0],
        [0.25, 0.75, 0.0, 0.0],
        [0.0, 0.0, 0.75, 0.25],
        [0.0, 0.0, 0.25, 0.75],
    ]


def test_the_last_image_of_an_odd_batch_is_mixed_with_itself():
    images, targets = batch(3)
    mixed, mixed_targets = mixup(images, targets, weight=0.25)
    assert torch.equal(mixed[2], images[2])
    assert mixed_targets[2].tolist() == [0, 0, 1]


def test_a_weight_of_one_changes_nothing():
    images, targets = batch(4)
    mixed, mixed_targets = mixup(images, targets, weight=1.0)
    assert torch.equal(mixed, images)
    assert torch.equal(mixed_targets, targets)


def test_a_weight_of_zero_exchanges_the_partners():
    images, targets = batch(4)
    mixed, mixed_targets = mixup(images, targets, weight=0.0)
    assert torch.equal(mixed, images[[1, 0, 3, 2]])
    assert torch.equal(mixed_targets, targets[[1, 0, 3, 2]])


def test_mixing_a_batch_is_mixing_its_halves():
    images, targets = batch(8)
    halves = [mixup(images[part], targets[part], weight=0.3) for part in (slice(4), slice(4, 8))]
    mixed, mixed_targets = mixup(images, targets, weight=0.3)
    assert torch.equal(mixed, torch.cat([half[0] for half in halves]))
    assert torch.equal(mixed_targets, torch.cat([half[1] for half in halves]))


def test_the_inputs_are_left_as_they_were():
    images, targets = batch(4)
    mixup(images, targets, weight=0.3)
    assert torch.equal(images, batch(4)[0])
    assert torch.equal(targets, batch(4)[1])


@pytest.mark.parametrize("seed", range(4))
def test_a_mixed_pair_is_torchvisions(seed):
    # torchvision blends with the neighbour before, who is the same one in a batch of two.
    images, targets = batch(2)
    torch.manual_seed(seed)
    trusted, trusted_targets = v2.MixUp(alpha=0.4, num_classes=2)(images, torch.arange(2))
    weight = trusted_targets[0, 0].item()
    mixed, mixed_targets = mixup(images, targets, weight=weight)
    # Two ways to write the blend, in float32.
    torch.testing.assert_close(mixed, trusted, rtol=0, atol=1e-6)
    torch.testing.assert_close(mixed_targets, trusted_targets, rtol=0, atol=1e-6)
