"""BlurPool: Zhang 2019, arXiv:1904.11486."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_core.methods.blurpool import BlurConv2d, BlurMaxPool2d, apply_blurpool, blur
from resnet_core.methods.section import BlurpoolConfig
from resnet_core.models.factory import build_architecture
from resnet_core.models.family import ModelConfig, ModelName

KERNEL = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])[None, None] / 16


def architecture(name: ModelName = "resnet50", stem: str = "imagenet") -> nn.Module:
    config = ModelConfig.model_validate({"name": name, "num_classes": 10, "initial_stem": stem})
    with torch.device("meta"):
        return build_architecture(config)


def only(layer: nn.Module, **options: object) -> nn.Module:
    """The layer as apply_blurpool leaves it."""
    model = nn.Sequential(layer, nn.Linear(1, 1))  # a max-pool alone has no type or device
    assert apply_blurpool(model, BlurpoolConfig.model_validate(options)) == 1
    return model[0]


def shifted(images: Tensor, by: int) -> Tensor:
    return torch.roll(images, by, dims=-1)


def test_blurring_a_point_gives_the_filter():
    point = torch.zeros(1, 1, 5, 5)
    point[..., 2, 2] = 16
    found = blur(point, KERNEL, (1, 1))[0, 0, 1:4, 1:4]
    assert found.tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_the_border_is_reflected_without_the_edge_pixel_twice():
    ramp = torch.tensor([0.0, 1, 2]).expand(1, 1, 3, 3)
    # Left: (1 + 2 * 0 + 1) / 4; right: (1 + 2 * 2 + 1) / 4.
    assert blur(ramp, KERNEL, (1, 1))[0, 0].tolist() == [[0.5, 1.0, 1.5]] * 3


@pytest.mark.parametrize("size", [1, 2, 5])
def test_blurring_keeps_an_even_image_as_it_is(size):
    image = torch.full((1, 2, size, size), 3.0)
    assert torch.equal(blur(image, KERNEL, (1, 1)), image)


def test_channels_do_not_mix():
    images = torch.zeros(1, 2, 4, 4)
    images[:, 0] = 1
    found = blur(images, KERNEL, (1, 1))
    assert found[:, 0].eq(1).all()
    assert found[:, 1].eq(0).all()


def dense_blur(images: Tensor) -> Tensor:
    """The filter as two passes of additions over the reflected image."""
    padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
    rows = (padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]) / 4
    return (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4


@pytest.mark.parametrize("blur_first", [True, False], ids=["blur first", "paper's order"])
@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_a_convolution_is_blurred_in_the_order_asked_for(blur_first, kernel_size):
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 8, kernel_size, stride=2, padding=kernel_size // 2)
    images = torch.randn(2, 16, 9, 8)
    if blur_first:
        expected = layer(dense_blur(images))
    else:
        dense = F.conv2d(images, layer.weight, layer.bias, padding=kernel_size // 2)
        expected = dense_blur(dense)[:, :, ::2, ::2]
    found = only(layer, blur_first=blur_first)(images)
    # Sums of up to 784 products in another order, in float32.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel_size", "padding"), [(3, 1), (2, 0)], ids=["torchvision's", "resnet_9's"]
)
def test_a_max_pool_takes_the_maximum_everywhere_and_blurs_it_to_the_same_size(
    kernel_size, padding
):
    layer = nn.MaxPool2d(kernel_size, stride=2, padding=padding)
    images = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = dense_blur(F.max_pool2d(images, kernel_size, 1, padding))[:, :, ::2, ::2]
    found = only(layer)(images)
    assert found.shape == layer(images).shape
    torch.testing.assert_close(found, expected)


def test_a_shift_by_one_pixel_changes_a_blurred_max_pool_less():
    # The finest stripes: a plain pool of stride 2 cannot tell them from their own shift only if
    # it is blurred. Away from the border, where the image wraps around.
    stripes = torch.tensor([0.0, 1]).repeat(16).expand(1, 1, 32, 32)
    plain, blurred = nn.MaxPool2d(1, stride=2), only(nn.MaxPool2d(1, stride=2))

    def change(layer: nn.Module) -> float:
        return (layer(stripes) - layer(shifted(stripes, 1)))[..., 2:-2].abs().max().item()

    assert change(plain) == 1
    assert change(blurred) == 0


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet_9", "resnet_20"])
def test_names_and_shapes_of_the_state_stay(name):
    plain, blurred = architecture(name), architecture(name)
    apply_blurpool(blurred, BlurpoolConfig())
    expected = {key: tensor.shape for key, tensor in plain.state_dict().items()}
    assert {key: tensor.shape for key, tensor in blurred.state_dict().items()} == expected


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        # Stages 2 to 4 begin with a strided 3x3 convolution and a strided shortcut each; the
        # stem's convolution sees 3 channels, and its max-pool comes on top.
        ("resnet18", {}, 7),
        ("resnet50", {}, 7),
        ("resnet50", {"min_channels": 3}, 8),
        ("resnet50", {"replace_convs": False}, 1),
        ("resnet50", {"replace_maxpools": False}, 6),
        # Into stage 2 go 128 channels (64 in a basic block's), 256 into its shortcut.
        ("resnet50", {"min_channels": 256, "replace_maxpools": False}, 5),
        ("resnet_20", {}, 4),
        ("resnet_9", {}, 3),
    ],
)
def test_the_number_of_layers_changed_is_counted(name, options, expected):
    assert apply_blurpool(architecture(name), BlurpoolConfig.model_validate(options)) == expected


def test_the_parameters_remain_the_same_objects():
    layer = nn.Conv2d(16, 8, 3, stride=2)
    blurred = only(layer)
    assert isinstance(blurred, BlurConv2d)
    assert blurred.weight is layer.weight
    assert blurred.bias is layer.bias


def test_replacing_layers_draws_no_random_number():
    model = nn.Sequential(nn.Conv2d(16, 8, 3, stride=2))
    before = torch.get_rng_state()
    apply_blurpool(model, BlurpoolConfig())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "stem", "options"),
    [
        ("resnet50", "imagenet", {"replace_convs": False, "replace_maxpools": False}),
        ("resnet18", "cifar", {"replace_convs": False}),
        ("resnet_20", "cifar", {"min_channels": 64}),
    ],
    ids=str,
)
def test_a_blurpool_that_changes_nothing_is_refused(name, stem, options):
    with pytest.raises(ValueError, match="blurpool changes nothing in this model"):
        apply_blurpool(architecture(name, stem), BlurpoolConfig.model_validate(options))


@pytest.mark.parametrize("layer", [nn.Conv2d(16, 16, 3, stride=2), nn.MaxPool2d(2)], ids=str)
def test_the_filter_follows_the_model_in_type(layer):
    blurred = only(layer).to(torch.bfloat16)
    assert blurred(torch.ones(1, 16, 8, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("layer", [nn.Conv2d(16, 16, 3, stride=2), nn.MaxPool2d(2)], ids=str)
def test_the_filter_follows_autocast(layer):
    blurred = only(layer)
    with torch.autocast("cpu", torch.bfloat16):
        found = blurred(torch.ones(1, 16, 8, 8, dtype=torch.bfloat16))
    assert found.dtype == torch.bfloat16


def test_the_filter_is_not_trained():
    model = nn.Sequential(nn.Conv2d(16, 8, 3, stride=2), nn.MaxPool2d(2))
    apply_blurpool(model, BlurpoolConfig())
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    assert isinstance(model[1], BlurMaxPool2d)
