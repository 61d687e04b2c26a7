from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from resnet_core.data.crops import (
    NUM_DRAWS,
    RandomBoxes,
    crop_draws,
    in_record,
    middle_boxes,
    mirrored,
    random_boxes,
    size_of_view,
)

NUM_BOXES = 100_000
# Each comparison fails by chance once in a million; seeds are fixed, so it does always or never.
ALPHA = 1e-6


@cache
def torchvisions_boxes(width: int, height: int) -> np.ndarray:
    """Left, upper, right, lower of `RandomResizedCrop.get_params`."""
    crop = v2.RandomResizedCrop(8)
    image = torch.empty(3, height, width, device="meta")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(17)
        drawn = [crop.make_params([image]) for _ in range(NUM_BOXES)]
    return np.array(
        [[d["left"], d["top"], d["left"] + d["width"], d["top"] + d["height"]] for d in drawn]
    )


def boxes_of(width: int, height: int, num: int = NUM_BOXES) -> np.ndarray:
    return random_boxes(np.tile([[width, height]], (num, 1)), draws(num))


def draws(num: int) -> np.ndarray:
    return crop_draws(slice(0, num), seed=17, step=0)


# The last is so narrow that ten tries fail now and then, and the middle is taken.
@pytest.mark.parametrize(("width", "height"), [(500, 375), (120, 480)])
def test_boxes_are_distributed_as_torchvisions(width, height):
    ours, theirs = boxes_of(width, height), torchvisions_boxes(width, height)
    for name, number in {
        "area": lambda b: (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]),
        "log ratio": lambda b: np.log((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])),
        "left": lambda b: b[:, 0],
        "upper": lambda b: b[:, 1],
    }.items():
        test: Any = stats.ks_2samp(number(ours), number(theirs))
        assert test.pvalue > ALPHA, name


def test_as_many_boxes_of_a_narrow_image_are_the_middle_one_as_of_torchvisions():
    # Of 1:4, the largest box of ratio 3:4 is all of the width and 160 of 480 pixels high.
    middle = [0, 160, 120, 320]
    ours, theirs = (
        int((boxes == middle).all(axis=1).sum())
        for boxes in (boxes_of(120, 480), torchvisions_boxes(120, 480))
    )
    # Counts of rare events spread by their square root; five of the difference's, which is 2^0.5.
    assert theirs > 100
    assert abs(ours - theirs) < 5 * (2 * theirs) ** 0.5


@pytest.mark.parametrize(("size", "box"), [
    ((10_000, 1), (4_999, 0, 5_000, 1)),  # 4/3 of the height is 1.33, so one pixel
    ((1, 10_000), (0, 4_999, 1, 5_000)),
    ((1, 1), (0, 0, 1, 1)),
])  # fmt: skip
def test_an_image_that_no_try_fits_gives_its_middle(size, box):
    assert boxes_of(*size, num=3).tolist() == [list(box)] * 3


def test_boxes_lie_in_their_images_whatever_the_sizes():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 600, (20_000, 2))
    boxes = random_boxes(sizes, draws(len(sizes)))
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= sizes).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_images_that_come_one_by_one_have_the_same_boxes():
    # One in fifty is so narrow that tries fail, and the middle is taken.
    sizes = np.random.default_rng(0).integers(1, 600, (20_000, 2))
    sizes[::50, 0] = 1
    drawn = draws(len(sizes))
    boxes = RandomBoxes(drawn)
    found = [boxes.box(place, *size) for place, size in enumerate(sizes.tolist())]
    np.testing.assert_array_equal(found, random_boxes(sizes, drawn))


def test_the_shares_of_a_batch_draw_what_the_whole_batch_draws():
    whole = crop_draws(slice(0, 12), seed=3, step=5)
    assert whole.shape == (12, NUM_DRAWS)
    shares = [crop_draws(slice(at, at + 4), seed=3, step=5) for at in (0, 4, 8)]
    np.testing.assert_array_equal(np.concatenate(shares), whole)
    assert len(np.unique(whole)) == whole.size
    for other in ({"seed": 4, "step": 5}, {"seed": 3, "step": 6}):
        assert not np.isin(crop_draws(slice(0, 12), **other), whole).any()


def test_half_of_the_boxes_are_mirrored():
    boxes = np.tile([[1, 2, 3, 4]], (10_000, 1))
    flipped = mirrored(boxes, draws(10_000))
    is_flipped = (flipped == [3, 2, 1, 4]).all(axis=1)
    one_by_one = RandomBoxes(draws(10_000))
    assert [one_by_one.mirrored(place) for place in range(10_000)] == is_flipped.tolist()
    assert (is_flipped | (flipped == boxes).all(axis=1)).all()
    # Five standard deviations of 10,000 coins: 5 * 50.
    assert abs(int(is_flipped.sum()) - 5_000) < 250


def test_the_middle_is_that_of_torchvisions_resize_and_centre_crop():
    for width, height in [(500, 375), (375, 500), (224, 224), (301, 1000), (257, 256)]:
        # The place of every pixel as its colour: what is cut out tells where it lay.
        across = torch.arange(width, dtype=torch.float64).expand(1, height, width) + 0.5
        down = torch.arange(height, dtype=torch.float64)[:, None].expand(1, height, width) + 0.5
        crop = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(224)])
        x, y = crop(across)[0, 112], crop(down)[0, :, 112]
        (box,) = middle_boxes(np.array([[width, height]]), size_px=224, crop_ratio=0.875)
        centres = (np.arange(224) + 0.5) / 224
        inner = slice(2, -2)  # beside an edge, the filter sees one side only
        # A triangle of few samples is off by up to a tenth of a pixel; a wrong rounding by a whole.
        for found, expected in ((box[0::2], x), (box[1::2], y)):
            places = found[0] + centres * (found[1] - found[0])
            np.testing.assert_allclose(places[inner], expected[inner], atol=0.15)


def test_a_box_keeps_its_place_in_the_squashed_image():
    found = in_record(np.array([[50, 30, 100, 60]]), np.array([[200, 60]]), 32)
    assert found.tolist() == [[8, 16, 16, 32]]


@pytest.mark.parametrize(("size", "view"), [
    ((500, 250), (64, 32)), ((250, 500), (32, 64)), ((20, 10), (20, 10)),
    ((10_000, 1), (10_000, 1)),
])  # fmt: skip
def test_an_image_is_shown_unsquashed_and_never_larger_than_it_was(size, view):
    assert size_of_view(size, 32) == view
