"""The members for 32x32 pixels: He et al. 2015, section 4.2, and Composer's ResNet-9."""

import pytest
import torch
from torch import nn

from resnet_core import create_resnet
from resnet_core.models.factory import ResNetClassifier
from resnet_core.models.family import FAMILY, ModelConfig

pytestmark = pytest.mark.usefixtures("one_thread")
CIFAR = [name for name, member in FAMILY.items() if member.kind == "cifar"]
SIX_N_PLUS_2 = [name for name in CIFAR if name != "resnet_9"]


def on_paper(name: str, num_classes: int = 10) -> ResNetClassifier:
    with torch.device("meta"):
        return create_resnet(name, num_classes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("resnet_9", 2_440_266), ("resnet_20", 272_474), ("resnet_56", 855_770)],
)
def test_the_number_of_parameters_is_the_one_of_composers_models(name, expected):
    assert sum(p.numel() for p in on_paper(name).parameters()) == expected
    assert FAMILY[name].num_parameters == expected


@pytest.mark.parametrize("name", SIX_N_PLUS_2)
def test_six_n_plus_two_layers_have_the_parameters_of_the_arithmetic(name):
    n = (FAMILY[name].depth - 2) // 6
    stem, head = 3 * 16 * 9 + 2 * 16, 64 * 10 + 10
    blocks = sum(2 * n * (9 * width**2 + 2 * width) for width in (16, 32, 64))
    # The first convolution of a wider stage has half the inputs; a 1x1 projection goes past it.
    steps = sum(-9 * width**2 // 2 + width**2 // 2 + 2 * width for width in (32, 64))
    expected = stem + blocks + steps + head
    assert sum(p.numel() for p in on_paper(name).parameters()) == expected
    assert FAMILY[name].num_parameters == expected


@pytest.mark.parametrize("name", CIFAR)
def test_the_depth_is_the_number_of_layers_with_weights(name):
    layers = [
        layer for path, layer in on_paper(name).named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "downsample" not in path
    ]  # fmt: skip
    assert len(layers) == FAMILY[name].depth == int(name.removeprefix("resnet_"))


def test_resnet_20_is_the_table_of_the_paper():
    model = on_paper("resnet_20")
    seen = {}
    for name in ("layer1", "layer2", "layer3"):
        last = model.get_submodule(name).get_submodule("2")
        last.register_forward_hook(lambda *made, at=name: seen.update({at: made[2].shape[1:]}))
    logits = model(torch.empty(2, 3, 32, 32, device="meta"))
    assert seen == {"layer1": (16, 32, 32), "layer2": (32, 16, 16), "layer3": (64, 8, 8)}
    assert logits.shape == (2, 10)


def test_a_shortcut_is_a_projection_only_where_the_shape_changes():
    shortcuts = [block.downsample for block in on_paper("resnet_20").blocks]
    projections = {index for index, shortcut in enumerate(shortcuts) if shortcut is not None}
    assert projections == {3, 6}
    convolution, norm = shortcuts[3].children()  # pyright: ignore[reportOptionalMemberAccess]
    assert (convolution.kernel_size, convolution.stride) == ((1, 1), (2, 2))
    assert isinstance(norm, nn.BatchNorm2d)


def test_resnet_9_halves_the_image_in_three_max_pools():
    model, shapes = on_paper("resnet_9"), []
    for module in model.modules():
        if isinstance(module, nn.MaxPool2d):
            module.register_forward_hook(lambda *made: shapes.append(made[2].shape[1:]))
    logits = model(torch.empty(2, 3, 32, 32, device="meta"))
    assert shapes == [(128, 16, 16), (256, 8, 8), (256, 4, 4)]
    assert logits.shape == (2, 10)


@pytest.mark.parametrize("name", ["resnet_9", "resnet_20"])
def test_names_are_torchvisions(name):
    children = [child for child, _ in on_paper(name).named_children()]
    expected = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "avgpool", "fc"]
    assert sorted(children) == sorted(expected)


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_either_word_for_the_stem_means_the_members_own(stem):
    with torch.device("meta"):
        model = create_resnet("resnet_20", 10, initial_stem=stem)
    assert model.conv1.weight.shape == (16, 3, 3, 3)


@pytest.mark.parametrize("name", ["resnet_9", "resnet_110"])
@pytest.mark.parametrize("arguments", [{"groups": 2}, {"width_per_group": 32}], ids=str)
def test_groups_and_width_stay_at_their_defaults(name, arguments):
    with pytest.raises(ValueError, match=f"{name} has basic blocks, which take"):
        ModelConfig(name=name, **arguments)


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    model = create_resnet("resnet_20", 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    images, labels = torch.randn(16, 3, 8, 8), torch.arange(16) % 4
    losses = []
    for _ in range(8):
        loss = model.loss(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
