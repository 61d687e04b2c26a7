import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from resnet_core.data.per_image import Policies, resize_and_crop, resized_box
from resnet_core.methods.section import MethodsConfig, ResolutionConfig

MEAN = torch.tensor([10.4, 120.6, 200.0]).reshape(3, 1, 1)
BILINEAR = InterpolationMode.BILINEAR


def picture(width: int, height: int) -> Image.Image:
    """Smooth colours, so that resampling has something to be right about."""
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def policies(**methods) -> Policies:
    return Policies(MethodsConfig.model_validate(methods), mean=MEAN)


def by_torchvision(image: Tensor, seed: int, *steps: v2.Transform) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return v2.Compose(steps)(image)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("box", [(0, 0, 50, 40), (3, 7, 20, 39), (48, 1, 50, 4), (0, 39, 1, 40)])
@pytest.mark.parametrize("interleaved", [False, True])
def test_a_box_is_resized_and_mirrored_as_torchvision_does(box, mirrored, interleaved):
    image = F.pil_to_tensor(picture(50, 40))
    left, upper, right, lower = box
    expected = F.resized_crop(image, upper, left, lower - upper, right - left, [32, 32])
    if not interleaved:  # as torchvision gives it
        image = image.contiguous()
    assert (image.stride(0) == 1) is interleaved
    found = resized_box(image, box, 32, mirrored=mirrored)
    assert torch.equal(found, F.horizontal_flip(expected) if mirrored else expected)


@pytest.mark.parametrize(
    ("methods", "step"),
    [
        ({"trivial_augment": {}}, v2.TrivialAugmentWide(interpolation=BILINEAR)),
        ({"rand_augment": {"num_ops": 3, "magnitude": 20}},
         v2.RandAugment(3, 20, interpolation=BILINEAR)),
        ({"aug_mix": {"severity": 5, "width": 2, "depth": 2, "alpha": 0.5}},
         v2.AugMix(severity=5, mixture_width=2, chain_depth=2, alpha=0.5)),
        ({"random_erasing": {"probability": 0.5, "min_area_ratio": 0.1, "max_area_ratio": 0.2}},
         v2.RandomErasing(0.5, (0.1, 0.2), value=[10.0, 121.0, 200.0])),  # type: ignore[arg-type]
    ],
    ids=["trivial_augment", "rand_augment", "aug_mix", "random_erasing"],
)  # fmt: skip
def test_each_method_is_torchvisions_of_the_same_strength(methods, step):
    image = F.pil_to_tensor(picture(32, 32))
    augment = policies(**methods)
    for seed in range(20):
        assert torch.equal(augment(image, seed), by_torchvision(image, seed, step))


def test_erasing_comes_after_the_policy():
    image = F.pil_to_tensor(picture(50, 40))
    augment = policies(trivial_augment={}, random_erasing={"probability": 1})
    steps = [
        v2.TrivialAugmentWide(interpolation=BILINEAR),
        v2.RandomErasing(1, (0.02, 1 / 3), value=[10.0, 121.0, 200.0]),  # pyright: ignore[reportArgumentType]
    ]
    for seed in range(10):
        assert torch.equal(augment(image, seed), by_torchvision(image, seed, *steps))


def test_what_is_erased_has_the_mean_colour():
    image = torch.full((3, 40, 40), 255, dtype=torch.uint8)
    erasing = {"probability": 1, "min_area_ratio": 0.1, "max_area_ratio": 0.2}
    erased = policies(random_erasing=erasing)(image, 0)
    box = (erased != 255).any(dim=0)
    assert erased[:, box].unique(dim=1).tolist() == [[10], [121], [200]]
    # A box of whole pixels: each side is up to half a pixel off, of 7 to 33.
    assert 0.08 < box.float().mean().item() < 0.23


def test_where_no_method_changes_single_images_there_is_nothing_to_do():
    assert not policies()
    assert policies(trivial_augment={})


def test_the_same_seed_repeats_an_image_and_another_changes_it():
    augment = policies(trivial_augment={})
    image = F.pil_to_tensor(picture(50, 40))
    first, again, other = (augment(image, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_augmenting_leaves_the_callers_random_numbers_alone():
    before = torch.get_rng_state()
    policies(aug_mix={}, random_erasing={})(F.pil_to_tensor(picture(30, 30)), 5)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("width", "height"), [(60, 45), (45, 60), (20, 20)])
def test_evaluation_resizes_the_shorter_side_and_cuts_out_the_middle_as_pil_does(width, height):
    image = picture(width, height)
    resolution = ResolutionConfig(train_px=28, evaluation_px=28, crop_ratio=0.875)
    # 28 / 0.875 = 32, so that 60 x 45 becomes 42 x 32; the middle begins 7 and 2 pixels in.
    size = (32 * width // min(width, height), 32 * height // min(width, height))
    left, top = ((side - 28) // 2 for side in size)
    expected = image.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + 28, top + 28))
    found = resize_and_crop(image, resolution)
    assert (found.dtype, found.shape) == (torch.uint8, (3, 28, 28))
    # Torch and PIL round the weights of their 8-bit filters in different places.
    assert (found.int() - F.pil_to_tensor(expected).int()).abs().max() <= 2


def test_a_tensor_and_the_same_pixels_in_pil_give_the_same_image():
    image = picture(50, 40)
    pixels = F.pil_to_tensor(image)
    resolution = ResolutionConfig(train_px=20, evaluation_px=20)
    assert torch.equal(resize_and_crop(image, resolution), resize_and_crop(pixels, resolution))
