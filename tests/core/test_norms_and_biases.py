"""Weight decay of norms and biases: which parameters are spared, and what trains them."""

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from resnet_core.optimizer import parameter_groups
from tests.core.optimizer_section import build


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
