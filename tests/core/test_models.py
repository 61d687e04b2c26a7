import math

import pytest
import torch
import torchvision
from torchvision.models import get_model_weights

from resnet_core import create_resnet
from resnet_core.methods.section import MethodsConfig
from resnet_core.models.factory import ResNetClassifier, build_architecture, build_model
from resnet_core.models.family import FAMILY, ModelConfig

TORCHVISIONS = [name for name, member in FAMILY.items() if member.kind == "imagenet"]


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


@pytest.mark.parametrize("name", TORCHVISIONS)
def test_names_and_shapes_are_torchvisions(name):
    assert shapes(on_paper(name)) == shapes_of_torchvisions(name)


@pytest.mark.parametrize("name", TORCHVISIONS)
def test_the_table_says_what_torchvision_publishes(name):
    meta = get_model_weights(name)["DEFAULT"].meta  # pyright: ignore[reportIndexIssue]
    member = FAMILY[name]
    assert member.num_parameters == meta["num_params"]
    assert member.giga_multiply_adds == meta["_ops"]
    assert f"resnet{member.depth}" == name


@pytest.mark.parametrize("name", FAMILY)
def test_the_number_of_parameters_is_the_one_in_the_table(name):
    model = on_paper(name, num_classes=FAMILY[name].num_classes)
    assert sum(p.numel() for p in model.parameters()) == FAMILY[name].num_parameters


def test_the_parameters_of_resnet18_are_11_689_512():
    assert sum(p.numel() for p in on_paper("resnet18").parameters()) == 11_689_512


@pytest.mark.parametrize("name", TORCHVISIONS)
def test_the_depth_is_the_number_of_layers_with_weights(name):
    member = FAMILY[name]
    per_block = {"basic": 2, "bottleneck": 3}[member.block]
    assert member.depth == 1 + per_block * sum(member.blocks_per_stage) + 1


@pytest.mark.parametrize(
    ("arguments", "torchvisions"),
    [
        ({"groups": 32, "width_per_group": 4}, "resnext50_32x4d"),
        ({"width_per_group": 128}, "wide_resnet50_2"),
        ({"groups": 32, "width_per_group": 8}, "resnext101_32x8d"),
        ({"groups": 64, "width_per_group": 4}, "resnext101_64x4d"),
        ({"width_per_group": 128}, "wide_resnet101_2"),
    ],
)
def test_groups_and_width_make_the_published_variants(arguments, torchvisions):
    name = "resnet101" if "101" in torchvisions else "resnet50"
    assert shapes(on_paper(name, **arguments)) == shapes_of_torchvisions(torchvisions)


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


@pytest.mark.parametrize("name", TORCHVISIONS)
def test_the_cifar_stem_keeps_eight_pixels_until_the_stages_halve_them(name):
    model = on_paper(name, num_classes=10, initial_stem="cifar")
    seen = []
    for block in model.blocks:
        block.register_forward_hook(lambda *made: seen.append(made[2].shape[2]))
    model(torch.empty(2, 3, 8, 8, device="meta"))
    stages = zip((8, 4, 2, 1), FAMILY[name].blocks_per_stage, strict=True)
    assert seen == [size for size, num_blocks in stages for _ in range(num_blocks)]


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


@pytest.mark.parametrize(
    ("groups", "nearest"), [(3, "2 and 4"), (48, "32 and 64"), (65, "64")], ids=str
)
def test_groups_that_do_not_divide_the_widths_are_refused_with_the_nearest(groups, nearest):
    with pytest.raises(ValueError, match=rf"must divide .*got {groups}; .* do: {nearest}\b"):
        create_resnet("resnet50", groups=groups)


def test_an_unknown_initializer_is_refused():
    with pytest.raises(ValueError, match="kaiming_normal"):
        create_resnet("resnet18", initializers=["kaiming"])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("argument", ["groups", "width_per_group", "num_classes"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "two"])
def test_counts_are_whole_and_positive(argument, value):
    with pytest.raises(ValueError, match=argument):
        create_resnet("resnet50", **{argument: value})


def test_a_classifier_needs_two_classes():
    with pytest.raises(ValueError, match="num_classes: must be at least 2, got 1"):
        create_resnet("resnet50", num_classes=1)


def test_the_loss_is_the_one_that_was_named():
    model = on_paper("resnet18", num_classes=4, loss_name="binary_cross_entropy_with_logits")
    # Four classes at ln 2 each; cross-entropy would give ln 4.
    loss = model.loss(torch.zeros(2, 4), torch.tensor([0, 1])).item()
    assert loss == pytest.approx(4 * math.log(2), rel=1e-6)


def with_methods(name: str, *, seed: int = 0, **methods: object) -> ResNetClassifier:
    torch.manual_seed(seed)
    config = ModelConfig.model_validate({"name": name, "num_classes": 10})
    return build_model(config, MethodsConfig.model_validate(methods))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_zero_init_of_the_residuals_is_torchvisions(name):
    found = with_methods(name, zero_init_residual=True).state_dict()
    torch.manual_seed(0)
    build = getattr(torchvision.models, name)
    expected = build(num_classes=10, zero_init_residual=True).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_zero_init_comes_after_the_initializers():
    config = ModelConfig(name="resnet_20", num_classes=10, initializers=("bn_uniform",))
    model = build_model(config, MethodsConfig(zero_init_residual=True))
    assert all(block.last_norm.weight.eq(0).all() for block in model.blocks)
    assert model.bn1.weight.gt(0).any()


def test_channels_last_is_the_layout_of_the_convolutions_weights():
    weight = with_methods("resnet_20", channels_last=True).blocks[0].get_parameter("conv1.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


def test_the_trunk_begins_the_same_with_and_without_squeeze_excite():
    plain = with_methods("resnet_20").state_dict()
    gated = with_methods("resnet_20", squeeze_excite={}).state_dict()
    assert all(torch.equal(gated[name], plain[name]) for name in plain)


def test_the_architecture_of_a_pretrained_model_needs_no_weights(tmp_path):
    config = ModelConfig(name="resnet_20", pretrained=str(tmp_path / "away.pt"))
    assert shapes(build_architecture(config)) == shapes(on_paper("resnet_20"))
