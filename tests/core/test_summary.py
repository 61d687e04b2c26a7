"""What a model costs: against published counts, arithmetic by hand and a real forward pass."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from resnet_core.methods.section import MethodsConfig
from resnet_core.models.factory import build_model
from resnet_core.models.family import FAMILY, ModelConfig
from resnet_core.recipe import Recipe
from resnet_core.recipe_summary import Summary, summary


def cost(name: str, *, methods: dict[str, Any] | None = None, **changes: Any) -> Summary:
    """The summary of what a recipe says of a model; ``changes`` replace what it says."""
    member = FAMILY[name]  # pyright: ignore[reportArgumentType]
    stem = changes.pop("initial_stem", "imagenet")
    said = {
        "model": ModelConfig.model_validate(
            {"name": name, "num_classes": member.num_classes, "initial_stem": stem}
        ),
        "methods": MethodsConfig.model_validate(methods or {}),
        "image_size_px": member.image_size_px,
        "precision": "fp32",
        "activation_checkpointing": False,
    }
    return summary(SimpleNamespace(**{**said, **changes}))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", FAMILY)
def test_a_multiply_add_is_two_of_the_forward_flops(name):
    # torchvision rounds to three decimals of 10^9, which is 0.03 % of ResNet-18's 1.814; the
    # CIFAR members' figures have four decimals, 0.12 % of the smallest.
    expected = pytest.approx(FAMILY[name].giga_multiply_adds, abs=0.0005 + 1e-9)
    assert cost(name).forward_flops / 2 / 1e9 == expected


@pytest.mark.parametrize("name", [name for name in FAMILY if name.startswith("resnet_")])
def test_the_multiply_adds_of_the_cifar_members_are_those_of_the_arithmetic(name):
    if name == "resnet_9":
        # Stem and first convolution at 32x32 px, block and next at 16x16, one at 8x8, block at 4x4.
        convolutions = 1024 * (27 * 64 + 576 * 128) + 256 * (2 * 1152 * 128 + 1152 * 256)
        convolutions += 64 * 2304 * 256 + 16 * 2 * 2304 * 256
        expected = convolutions + 256 * 10
    else:
        n = FAMILY[name].blocks_per_stage[0]
        expected = 1024 * 27 * 16 + 64 * 10
        for width, pixels in ((16, 1024), (32, 256), (64, 64)):
            expected += pixels * 2 * n * 9 * width**2
        for width, pixels in ((32, 256), (64, 64)):  # half the inputs, and the 1x1 projection
            expected += pixels * (-9 * width**2 // 2 + width**2 // 2)
    assert cost(name).forward_flops == 2 * expected
    assert FAMILY[name].giga_multiply_adds == pytest.approx(expected / 1e9, abs=5e-5)


@pytest.mark.parametrize("name", FAMILY)
def test_the_number_of_parameters_is_the_one_in_the_table(name):
    assert cost(name).num_parameters == FAMILY[name].num_parameters


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet_20"])
def test_the_backward_pass_costs_twice_the_forward_but_for_the_images_gradient(name):
    found = cost(name)
    member = FAMILY[name]
    # Every product is made again for each of its two gradients; the images need none.
    positions = 112**2 if member.kind == "imagenet" else 32**2
    of_images = 2 * positions * (147 * 64 if member.kind == "imagenet" else 27 * 16)
    assert found.training_flops == 3 * found.forward_flops - of_images


def test_the_activations_of_resnet_20_are_those_counted_by_hand():
    image, stem = 3 * 1024, 2 * 16 * 1024  # a convolution's output and, after norm, ReLU's
    # A block keeps both convolutions' outputs and both ReLUs'; a projection's output on top.
    blocks = 3 * 4 * 16 * 1024 + (3 * 4 + 1) * 32 * 256 + (3 * 4 + 1) * 64 * 64
    head = 64 + 10 + 10  # the pooled image, the log-probabilities, the target
    assert cost("resnet_20").activation_bytes == 4 * (image + stem + blocks + head)


@pytest.mark.parametrize(
    "methods", [{}, {"squeeze_excite": {}, "blurpool": {}}], ids=["plain", "methods"]
)
def test_the_activations_are_those_that_a_real_forward_pass_keeps(methods):
    torch.manual_seed(0)
    config = ModelConfig(name="resnet18", num_classes=1000)
    model = build_model(config, MethodsConfig.model_validate(methods))
    kept = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    kept |= {buffer.untyped_storage().data_ptr() for buffer in model.buffers()}
    num_bytes = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal num_bytes
        storage = tensor.untyped_storage()
        # Vectors are the batch's statistics: the same whatever the number of images.
        if tensor.dim() > 1 and storage.data_ptr() not in kept:
            kept.add(storage.data_ptr())
            num_bytes += storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model.loss(model(torch.randn(2, 3, 64, 64)), torch.rand(2, 1000))
    assert loss.requires_grad
    assert cost("resnet18", methods=methods, image_size_px=64).activation_bytes * 2 == num_bytes


def test_half_precision_halves_the_activations_but_for_the_max_pools_indices_and_the_loss():
    whole = cost("resnet50").activation_bytes
    indices, loss = 8 * 64 * 56**2, 4 * 2 * 1000
    expected = (whole - indices - loss) // 2 + indices + loss
    for precision in ("bf16", "fp16"):
        assert cost("resnet50", precision=precision).activation_bytes == expected


def test_recomputing_trades_activations_for_flops():
    plain = cost("resnet50")
    recomputed = cost("resnet50", activation_checkpointing=True)
    assert recomputed.activation_bytes < plain.activation_bytes / 2
    assert recomputed.forward_flops == plain.forward_flops
    # The blocks are all of the forward pass but the stem and the head.
    outside = 2 * (112**2 * 147 * 64 + 2048 * 1000)
    again = plain.forward_flops - outside
    assert recomputed.training_flops == plain.training_flops + again


def test_twice_the_resolution_is_four_times_the_convolutions():
    head = 2 * 2048 * 1000
    small, large = cost("resnet50", image_size_px=128), cost("resnet50", image_size_px=256)
    assert large.forward_flops - head == 4 * (small.forward_flops - head)
    assert (small.image_size_px, large.image_size_px) == (128, 256)


def test_the_cifar_stem_looks_at_every_pixel():
    found = cost("resnet18", initial_stem="cifar", image_size_px=32)
    imagenet = cost("resnet18", image_size_px=128)  # the stages see the same 32x32 px
    stems = 32**2 * 27 * 64, 64**2 * 147 * 64
    assert imagenet.forward_flops - found.forward_flops == 2 * (stems[1] - stems[0])


def test_squeeze_excite_adds_its_two_products_per_block():
    plain, gated = cost("resnet50"), cost("resnet50", methods={"squeeze_excite": {}})
    # Weights of one pixel: as many multiply-adds as the paper's formula has weights.
    assert gated.forward_flops - plain.forward_flops == 2 * 2_514_944


def test_blurpool_adds_nine_multiply_adds_per_pixel_that_it_makes():
    plain, blurred = cost("resnet18"), cost("resnet18", methods={"blurpool": {}})
    # The max-pool's output, then the inputs of each wider stage, blurred for both branches.
    pixels = 64 * 56**2 + 2 * (64 * 56**2 + 128 * 28**2 + 256 * 14**2)
    assert blurred.forward_flops - plain.forward_flops == 2 * 9 * pixels


def test_one_pixel_per_channel_can_be_summarised():
    assert cost("resnet18", image_size_px=32).activation_bytes > 0


def test_a_recipe_is_summarised_at_its_own_resolution():
    recipe = Recipe.model_validate(
        {
            "model": {"name": "resnet18"},
            "optimizer": {"sgd": {"learning_rate": 0.1}},
            "train_batch_size": 8,
            "max_duration": "1ep",
            "methods": {
                "resolution": {"train_px": 176, "evaluation_px": 224},
                "squeeze_excite": {},
            },
        }
    )
    expected = cost("resnet18", image_size_px=176, methods={"squeeze_excite": {}})
    assert summary(recipe) == expected


def test_weights_that_are_not_there_are_not_needed(tmp_path):
    model = ModelConfig(name="resnet_20", pretrained=str(tmp_path / "away.pt"))
    assert cost("resnet_20", model=model).num_parameters > 0
