from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from resnet_core.data.augment import normalise, random_flip, random_shift
from resnet_core.data.section import DataConfig
from resnet_core.data.sources import load_data


@pytest.fixture(scope="module")
def digits() -> Any:
    return load_data(DataConfig.model_validate({"digits": {}}), 10, torch.device("cpu"))


def test_normalised_training_images_have_mean_0_and_spread_1(digits):
    images = normalise(digits.train.images, digits.mean, digits.std)
    # Sums of 77,056 float32 pixels.
    assert images.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-4)
    assert images.std(dim=(0, 2, 3)).tolist() == pytest.approx([1] * 3, abs=1e-4)


def test_normalising_leaves_the_pixels_in_memory_alone(digits):
    before = digits.train.images.clone()
    normalise(digits.train.images, digits.mean, digits.std)
    assert torch.equal(digits.train.images, before)


def shift_one(image: Tensor, down: int, right: int) -> Tensor:
    shifted = torch.zeros_like(image)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                shifted[:, row, column] = image[:, row - down, column - right]
    return shifted


def test_every_shifted_image_is_its_original_moved_by_whole_pixels():
    images = torch.randint(1, 256, (200, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    images = images.to(torch.uint8)
    shifted = random_shift(images, max_shift_px=1, generator=torch.Generator().manual_seed(1))
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    counts = dict.fromkeys(moves, 0)
    for image, moved in zip(images, shifted, strict=True):
        (move,) = [move for move in moves if torch.equal(shift_one(image, *move), moved)]
        counts[move] += 1
    # 200 images over 9 moves: 22 each, with a standard deviation of 4.4.
    assert all(5 < count < 45 for count in counts.values())


def test_a_shift_of_zero_returns_the_images_themselves():
    images = torch.ones(2, 3, 4, 4)
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert random_shift(images, max_shift_px=0, generator=generator) is images
    assert torch.equal(generator.get_state(), before)


def test_about_every_other_image_is_mirrored_and_the_rest_left_as_they_were():
    images = torch.randint(256, (200, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    images = images.to(torch.uint8)
    found = random_flip(images, generator=torch.Generator().manual_seed(1))
    mirrored = 0
    for image, changed in zip(images.numpy(), found.numpy(), strict=True):
        is_mirrored = np.array_equal(changed, np.flip(image, axis=2))
        assert is_mirrored or np.array_equal(changed, image)
        mirrored += is_mirrored
    # 200 fair coins: a standard deviation of 7.
    assert 65 < mirrored < 135


def test_equal_seeds_mirror_the_same_images():
    images = torch.arange(64 * 3 * 2).reshape(64, 3, 1, 2)
    first, second = (
        random_flip(images, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("channels_last", [False, True])
def test_normalised_images_have_the_memory_layout_asked_for(channels_last):
    images = torch.zeros(2, 3, 4, 5, dtype=torch.uint8)
    found = normalise(
        images, torch.zeros(3, 1, 1), torch.ones(3, 1, 1), channels_last=channels_last
    )
    assert found.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert found.is_contiguous() != channels_last
    assert found.dtype == torch.float32


def test_normalising_subtracts_the_mean_and_divides_by_the_deviation_of_each_channel():
    images = torch.tensor([10, 20, 30], dtype=torch.uint8).reshape(1, 3, 1, 1)
    mean = torch.tensor([4.0, 20.0, 40.0]).reshape(3, 1, 1)
    std = torch.tensor([2.0, 5.0, 4.0]).reshape(3, 1, 1)
    assert normalise(images, mean, std).flatten().tolist() == [3.0, 0.0, -2.5]


@pytest.mark.parametrize("own", [slice(0, 3), slice(3, 6), slice(6, 9)])
def test_a_worker_moves_and_mirrors_its_share_as_the_whole_batch_would_be(own):
    images = torch.arange(9 * 3 * 4 * 5, dtype=torch.int32).reshape(9, 3, 4, 5)

    def augmented(some: Tensor, **share: Any) -> Tensor:
        generator = torch.Generator().manual_seed(5)
        moved = random_shift(some, max_shift_px=2, generator=generator, **share)
        return random_flip(moved, generator=generator, **share)

    found = augmented(images[own], batch_size=9, own=own)
    assert torch.equal(found, augmented(images)[own])
