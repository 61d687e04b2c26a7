import math
from urllib.error import URLError

import pytest
import torch
import torchvision
from torchvision.models import get_model_weights

from resnet_core import create_resnet
from resnet_core.models.factory import ResNetClassifier
from resnet_core.models.family import FAMILY


def on_paper(name: str, **arguments) -> ResNetClassifier:
    """A model with shapes but no numbers: nothing is drawn and nothing is stored."""
    with torch.device("meta"):
        return create_resnet(name, **arguments)


def shapes_of_torchvisions(name: str, **arguments) -> dict[str, torch.Size]:
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(**arguments)
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def shapes(model: ResNetClassifier) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", FAMILY)
def test_names_and_shapes_are_torchvisions(name):
    assert shapes(on_paper(name)) == shapes_of_torchvisions(name)


@pytest.mark.parametrize("name", FAMILY)
def test_the_number_of_parameters_is_the_published_one(name):
    published = get_model_weights(name)["DEFAULT"].meta["num_params"]  # pyright: ignore[reportIndexIssue]
    assert sum(p.numel() for p in on_paper(name).parameters()) == published
    assert FAMILY[name].num_parameters == published


@pytest.mark.parametrize(
    ("arguments", "torchvisions"),
    [
        ({"groups": 32, "width_per_group": 4}, "resnext50_32x4d"),
        ({"width_per_group": 128}, "wide_resnet50_2"),
    ],
)
def test_groups_and_width_make_the_published_variants(arguments, torchvisions):
    assert shapes(on_paper("resnet50", **arguments)) == shapes_of_torchvisions(torchvisions)


def test_without_initializers_the_weights_begin_as_torchvisions():
    torch.manual_seed(3)
    expected = torchvision.models.resnet18().state_dict()
    torch.manual_seed(3)
    found = create_resnet("resnet18").state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_initializers_are_applied():
    model = create_resnet("resnet18", initializers=["linear_log_constant_bias"], num_classes=8)
    torch.testing.assert_close(model.fc.bias.detach(), torch.full((8,), -math.log(8)))


def test_forward_gives_one_logit_per_image_and_class():
    model = on_paper("resnet50", num_classes=7)
    assert model(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 7)


def test_the_cifar_stem_keeps_eight_pixels_until_the_stages_halve_them():
    model = on_paper("resnet18", num_classes=10, initial_stem="cifar")
    seen = {}
    for name in ("layer1", "layer2", "layer3", "layer4"):
        stage = model.get_submodule(name)
        stage.register_forward_hook(lambda *made, at=name: seen.update({at: made[2].shape[2:]}))
    model(torch.empty(2, 3, 8, 8, device="meta"))
    assert seen == {"layer1": (8, 8), "layer2": (4, 4), "layer3": (2, 2), "layer4": (1, 1)}


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
@pytest.mark.parametrize("arguments", [{"groups": 2}, {"width_per_group": 32}], ids=str)
def test_basic_blocks_take_no_groups_and_the_refusal_names_those_that_do(name, arguments):
    (argument, value), *_ = arguments.items()
    message = rf"{name} has basic blocks, which take {argument} \d+ only, got {value}; "
    message += "members with bottleneck blocks: resnet50, resnet101, resnet152"
    with pytest.raises(ValueError, match=message):
        create_resnet(name, **arguments)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown model 'resnet-50'.*did you mean 'resnet50'\?"):
        create_resnet("resnet-50")


@pytest.mark.parametrize("argument", ["groups", "width_per_group", "num_classes"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "two"])
def test_counts_are_whole_and_positive(argument, value):
    with pytest.raises(ValueError, match=argument):
        create_resnet("resnet50", **{argument: value})


def test_a_classifier_needs_two_classes():
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        create_resnet("resnet50", num_classes=1)


def test_the_loss_is_the_one_that_was_named():
    model = on_paper("resnet18", num_classes=4, loss_name="binary_cross_entropy_with_logits")
    # Four classes at ln 2 each; cross-entropy would give ln 4.
    loss = model.loss(torch.zeros(2, 4), torch.tensor([0, 1])).item()
    assert loss == pytest.approx(4 * math.log(2), rel=1e-6)


@pytest.fixture
def cached_weights(tmp_path, monkeypatch) -> dict[str, torch.Tensor]:
    """Weights under the name that torchvision downloads them to; torch checks no digest there."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    state = torchvision.models.resnet18().state_dict()
    url = torchvision.models.ResNet18_Weights.DEFAULT.url
    file = tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]
    file.parent.mkdir(parents=True)
    torch.save(state, file)
    return state


def test_pretrained_weights_come_whole_for_a_thousand_classes(cached_weights):
    found = create_resnet("resnet18", pretrained=True).state_dict()
    assert all(torch.equal(found[name], cached_weights[name]) for name in cached_weights)


def test_pretrained_weights_come_without_the_head_for_other_classes(cached_weights):
    torch.manual_seed(3)
    fresh = create_resnet("resnet18", num_classes=10)
    torch.manual_seed(3)
    found = create_resnet("resnet18", num_classes=10, pretrained=True).state_dict()
    expected = {**cached_weights, "fc.weight": fresh.fc.weight, "fc.bias": fresh.fc.bias}
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_weights_that_cannot_be_downloaded_are_named(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise URLError("Network is unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(OSError, match=r"no weights for resnet18.*bring resnet18-f37072fd\.pth"):
        create_resnet("resnet18", pretrained=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": 32, "width_per_group": 4}, "pretrained weights are those of the standard"),
        ({"width_per_group": 128}, "pretrained weights are those of the standard"),
        ({"initial_stem": "cifar"}, "pretrained weights are those of the standard"),
        ({"initializers": ["bn_ones"]}, "initializers would overwrite the pretrained weights"),
    ],
    ids=str,
)
def test_pretrained_goes_with_the_standard_members_only(arguments, message):
    with pytest.raises(ValueError, match=message):
        create_resnet("resnet50", pretrained=True, **arguments)
