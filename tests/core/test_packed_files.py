"""What is packed of a folder, how it is opened and verified, and the damage that is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnet_core.data.class_names import class_names
from resnet_core.data.dataset import StreamedSplit
from resnet_core.data.digest import split_digest
from resnet_core.data.folder import load_folder
from resnet_core.data.packed.layout import CorruptPack, Layout, read_pack_manifest
from resnet_core.data.packed.verify import verify_packed
from resnet_core.data.section import DataConfig, ImageFolderConfig
from tests.core.packed_images import RGB, flip_a_byte, make_packed, open_all


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def test_what_is_packed_is_the_folders_splits_classes_and_sizes(tmp_path):
    folder, manifest = make_packed(tmp_path)
    assert manifest == read_pack_manifest(folder)
    assert manifest.class_names == ("ant", "bee")
    assert {name: split.num_images for name, split in manifest.splits.items()} == {
        "train": 24, "val": 10, "test": 6,
    }  # fmt: skip
    train, validation, test = open_all(folder)
    assert train.labels.tolist() == [0] * 12 + [1] * 12
    assert train.sizes[:4].tolist() == [[50, 40], [40, 50], [44, 44], [90, 30]]
    assert [len(validation), len(test)] == [10, 6]
    # 255 times 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225, as an image_folder's.
    assert manifest.mean == pytest.approx((123.675, 116.28, 103.53))
    assert manifest.std == pytest.approx((58.395, 57.12, 57.375))
    assert (folder / "train-00000.records").stat().st_size == 24 * 3 * 32 * 32
    section = DataConfig.model_validate({"packed": {"path": str(folder)}})
    assert class_names(section) == ["ant", "bee"]


def test_a_record_is_the_image_squashed(tmp_path):
    folder, _ = make_packed(tmp_path)
    record = np.empty((1, RGB.record_bytes), dtype=np.uint8)
    open_all(folder)[0].gather(np.array([13]), record)
    with Image.open(tmp_path / "images/train/bee/001.png") as image:
        squashed = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(record.reshape(32, 3, 32).transpose(0, 2, 1), squashed)


def test_yuv_takes_half_the_bytes(tmp_path):
    folder, _ = make_packed(tmp_path, pixel_format="yuv420")
    assert (folder / "train-00000.records").stat().st_size == 24 * 3 * 32 * 32 // 2


@pytest.mark.parametrize("ratio", [0.0, 0.25])
def test_the_images_held_out_are_those_of_the_folder(tmp_path, ratio):
    folder, _ = make_packed(tmp_path)
    theirs = load_folder(ImageFolderConfig(path=str(tmp_path / "images"), validation_ratio=ratio))[
        1
    ]
    for ours, expected in zip(open_all(folder, validation_ratio=ratio), theirs, strict=True):
        assert ours.labels.tolist() == expected.labels.tolist()
        sizes = [[*reversed(expected[index][0].shape[1:])] for index in range(len(expected))]
        assert ours.sizes.tolist() == sizes


def test_without_val_a_share_of_train_is_what_is_chosen_by(tmp_path):
    folder, _ = make_packed(tmp_path, train=8, test=2)
    assert [len(split) for split in open_all(folder, validation_ratio=0.25)] == [12, 4, 4]
    with pytest.raises(FileNotFoundError, match=r"holds no val, .* it holds train, test"):
        open_all(folder)


def test_verification_passes_what_was_written_and_names_every_file_that_changed(tmp_path):
    folder, manifest = make_packed(tmp_path)
    assert verify_packed(folder, num_threads=2) == manifest
    flip_a_byte(folder / "train-00000.records")
    flip_a_byte(folder / "test.sizes.npy", at=200)
    with pytest.raises(CorruptPack) as caught:
        verify_packed(folder)
    told = str(caught.value)
    assert "train-00000.records: its sha256 is not the manifest's" in told
    assert "test.sizes.npy: its sha256 is not the manifest's" in told
    assert "val-00000" not in told


@pytest.mark.parametrize(("damage", "message"), [
    (lambda folder: cut_short(folder / "train-00000.records"),
     r"train-00000\.records: has 73,727 bytes instead of 73,728"),
    (lambda folder: (folder / "val-00000.records").unlink(), r"val-00000\.records: is not there"),
    (lambda folder: flip_a_byte(folder / "train.sizes.npy", at=200), r"train\.sizes\.npy: its sha"),
    (lambda folder: (folder / "train.sizes.npy").unlink(), r"train\.sizes\.npy: is not there"),
    (lambda folder: cut_short(folder / "manifest.json"), r"manifest\.json: Expecting"),
    (lambda folder: flip_a_byte(folder / "manifest.json", at=100), r"manifest\.json: "),
], ids=["short", "gone", "sizes", "no sizes", "short manifest", "manifest"])  # fmt: skip
def test_opening_refuses_what_is_damaged_and_names_it(tmp_path, damage, message):
    folder, _ = make_packed(tmp_path)
    damage(folder)
    with pytest.raises(CorruptPack, match=message):
        open_all(folder)


def test_a_manifest_of_another_version_is_refused(tmp_path):
    folder, _ = make_packed(tmp_path)
    content = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**content, "format": 2}))
    with pytest.raises(CorruptPack, match="format 2, this version reads 1"):
        open_all(folder)


@pytest.mark.parametrize(("size_px", "pixel_format", "message"), [
    (4, "rgb", "size must be from 8 to 2048 pixels, got 4"),
    (33, "yuv420", "size must be even for yuv420, got 33; the nearest that are: 32 and 34"),
    (32, "bgr", "format must be rgb or yuv420, got 'bgr'"),
])  # fmt: skip
def test_a_layout_that_cannot_be_is_refused(size_px, pixel_format, message):
    with pytest.raises(ValueError, match=message):
        Layout(size_px, pixel_format)


def test_one_digest_tells_packed_images_wherever_they_lie_and_from_others(tmp_path):
    folder, _ = make_packed(tmp_path)
    train, _, test = open_all(folder)
    digest = split_digest(StreamedSplit(train), "")
    assert split_digest(StreamedSplit(test), "") != digest
    assert split_digest(StreamedSplit(train.part(train.labels == 0)), "") != digest
    (moved,) = [folder.rename(tmp_path / "moved")]
    assert split_digest(StreamedSplit(open_all(moved)[0]), "") == digest
