import subprocess
import sys
from typing import Any, cast

import pytest
import torch
from sklearn.datasets import load_digits

from resnet_core.data.dataset import ImageData, Split
from resnet_core.data.section import DataConfig
from resnet_core.data.sources import load_data

CPU = torch.device("cpu")


def load(num_classes: int = 10, **section) -> ImageData:
    return load_data(DataConfig.model_validate(section), num_classes, CPU)


def splits(data: ImageData) -> list[Split]:
    found = [data.split(name) for name in ("train", "validation", "test")]
    assert all(isinstance(split, Split) for split in found)
    return cast("list[Split]", found)


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load(digits={})


@pytest.fixture(scope="module")
def original() -> Any:
    return load_digits()


def test_digits_are_split_four_to_one_to_one(digits):
    # The classes have 178, 182, 177, 183, 181, 182, 181, 179, 174 and 180 images. Of n, every fifth
    # of six is (n + 1) // 6 in number, every sixth n // 6: 297 and 296 in all, 1,204 are left.
    assert [len(split) for split in splits(digits)] == [1204, 297, 296]
    assert DataConfig.model_validate({"digits": {}}).num_train == len(digits.train)


def test_every_class_is_in_every_split_in_near_equal_share(digits, original):
    totals = torch.from_numpy(original.target).bincount()
    for split, sixths in zip(splits(digits), (4, 1, 1), strict=True):
        off = split.labels.bincount(minlength=10) - totals * sixths / 6
        # Dealing by turns leaves at most the cut-off last turn: less than two images.
        assert off.abs().max() < 2


def test_the_splits_together_are_scikit_learns_digits_each_once(digits, original):
    images = torch.cat([split.images[:, 0].flatten(1) for split in splits(digits)]).tolist()
    labels = torch.cat([split.labels for split in splits(digits)]).tolist()
    expected = (original.data * 255 / 16).round().astype(int).tolist()
    assert sorted(zip(images, labels, strict=True)) == sorted(
        zip(expected, original.target.tolist(), strict=True)
    )


def test_no_two_digits_are_the_same_so_the_splits_are_disjoint(digits):
    images = torch.cat([split.images[:, 0].flatten(1) for split in splits(digits)])
    assert len(images.unique(dim=0)) == 1797


def test_digits_are_grey_in_three_channels_from_0_to_255(digits):
    for split in splits(digits):
        assert split.images.dtype == torch.uint8
        assert split.images.shape[1:] == (3, 8, 8)
        assert split.images.eq(split.images[:, :1]).all()
        levels = split.images.unique().tolist()  # 17 of them, 255 / 16 = 15.94 apart
        assert levels[:9] == [0, 16, 32, 48, 64, 80, 96, 112, 128]
        assert levels[9:] == [143, 159, 175, 191, 207, 223, 239, 255]


def test_fake_images_are_the_same_ones_each_time():
    section = {"num_train": 20, "num_evaluation": 7, "image_size_px": 8}
    first = load(num_classes=3, fake=section)
    load(num_classes=3, fake={})  # so that the second time is no memory of the first
    second = load(num_classes=3, fake=section)
    assert second is not first
    assert [len(split) for split in splits(first)] == [20, 7, 7]
    for ours, theirs in zip(splits(first), splits(second), strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)


def test_fake_splits_hold_different_images_of_every_class():
    data = load(num_classes=3, fake={"num_train": 64, "num_evaluation": 64, "image_size_px": 8})
    images = torch.cat([split.images.flatten(1) for split in splits(data)])
    assert len(images.unique(dim=0)) == 3 * 64
    assert all(split.labels.unique().tolist() == [0, 1, 2] for split in splits(data))


@pytest.mark.parametrize("shift", [-1, 5])
def test_a_shift_beyond_four_pixels_is_refused(shift):
    with pytest.raises(ValueError, match=r"digits\.max_shift_px"):
        DataConfig.model_validate({"digits": {"max_shift_px": shift}})


@pytest.mark.parametrize(
    ("section", "got"), [({}, "none"), ({"digits": {}, "fake": {}}, "digits and fake")]
)
def test_one_source_is_chosen(section, got):
    match = (
        f"choose one of digits, fake, cifar10, cifar100, image_folder, packed, custom, got {got}"
    )
    with pytest.raises(ValueError, match=match):
        DataConfig.model_validate(section)


def test_mean_and_deviation_are_those_of_the_training_images(digits):
    pixels = digits.train.images.double()
    for found, expected in (
        (digits.mean, pixels.mean(dim=(0, 2, 3))),
        (digits.std, pixels.std(dim=(0, 2, 3), correction=0)),
    ):
        assert found.shape == (3, 1, 1)
        # Sums of 77,056 float32 pixels.
        torch.testing.assert_close(found.flatten().double(), expected, rtol=1e-5, atol=0)


def test_the_latest_data_set_is_kept_for_the_next_trial(digits):
    first = load(digits={})
    assert load(digits={}) is first


def test_data_says_where_it_is_and_how_many_classes_it_has(digits):
    assert (digits.device, digits.num_classes) == (CPU, 10)


def test_a_label_that_the_model_has_no_class_for_is_refused_with_the_way_out():
    match = r"data\.digits has a label 9, model\.num_classes is 9; .* num_classes: 10"
    with pytest.raises(ValueError, match=match):
        load(num_classes=9, digits={})


def test_the_section_is_read_without_torch():
    code = "import sys, resnet_core.data.section; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
