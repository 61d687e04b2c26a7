import io
import os
import pickle
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from resnet_core.data.dataset import BadImage, StreamedSplit
from resnet_core.data.decode import read_image
from resnet_core.data.folder import FolderImages, load_folder
from resnet_core.data.section import DataConfig, ImageFolderConfig
from resnet_core.data.sources import load_data


def encoded(kind: str = "JPEG", seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def make(root: Path, **counts: dict[str, int]) -> Path:
    """Split and class folders with so many images each."""
    for split, classes in counts.items():
        for name, num in classes.items():
            (root / split / name).mkdir(parents=True)
            for index in range(num):
                (root / split / name / f"{index}.jpg").write_bytes(encoded(seed=index))
    return root


def load(root: Path, **section: Any) -> list[FolderImages]:
    return load_folder(ImageFolderConfig(path=str(root), **section))[1]


def paths(images: FolderImages) -> set[str]:
    return {os.fsdecode(path) for path in images._paths}


def test_files_and_labels_are_those_of_torchvisions_image_folder(tmp_path):
    make(tmp_path, train={"dog": 3, "cat": 2}, val={"dog": 1, "cat": 1}, test={"dog": 1, "cat": 1})
    (tmp_path / "train" / "dog" / "notes.txt").write_text("no image")
    train, *_ = load(tmp_path)
    expected = ImageFolder(str(tmp_path / "train"))
    assert len(train) == len(expected) == 5
    for (image, label), (their_image, their_label) in zip(
        (train[index] for index in range(5)), (expected[index] for index in range(5)), strict=True
    ):
        assert label == their_label
        assert np.array_equal(image.permute(1, 2, 0), np.asarray(their_image))


def test_each_split_has_a_folder(tmp_path):
    counts = {"train": {"a": 3, "b": 3}, "val": {"a": 2, "b": 2}, "test": {"a": 1, "b": 1}}
    assert [len(images) for images in load(make(tmp_path, **counts))] == [6, 4, 2]


def test_without_a_test_folder_val_is_both_and_a_warning_says_so(tmp_path):
    make(tmp_path, train={"a": 3}, val={"a": 2})
    with pytest.warns(UserWarning, match=r"has no test/, so val/ is both") as said:
        _, validation, test = load(tmp_path)
    assert len(said) == 1
    assert paths(validation) == paths(test) == {"a/0.jpg", "a/1.jpg"}


@pytest.mark.parametrize(("splits", "num_test"), [(("val",), 2), (("val", "test"), 1)])
def test_a_share_of_each_class_of_train_is_held_out(tmp_path, splits, num_test):
    sizes = {"val": 2, "test": 1}
    make(tmp_path, train={"a": 10, "b": 20}, **{name: {"a": sizes[name], "b": sizes[name]}
                                                for name in splits})  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train, validation, test = load(tmp_path, validation_ratio=0.2)
    assert np.bincount(train.labels).tolist() == [8, 16]
    assert np.bincount(validation.labels).tolist() == [2, 4]
    assert np.bincount(test.labels).tolist() == [num_test, num_test]
    assert not paths(train) & paths(validation)


def test_the_same_images_are_held_out_each_time(tmp_path):
    make(tmp_path, train={"a": 10, "b": 9}, val={"a": 1, "b": 1})
    first, second = (load(tmp_path, validation_ratio=0.3)[1] for _ in range(2))
    assert paths(first) == paths(second)


def test_a_share_that_holds_out_nothing_is_refused(tmp_path):
    make(tmp_path, train={"a": 4}, val={"a": 1})
    with pytest.raises(ValueError, match=r"validation_ratio 0\.1 of 4 training images"):
        load(tmp_path, validation_ratio=0.1)


@pytest.mark.parametrize("name", ["train", "val"])
def test_a_missing_folder_is_named(tmp_path, name):
    make(tmp_path, **{"train": {"a": 1}, "val": {"a": 1}, name: {}})
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/{name} is not there"):
        load(tmp_path)


def test_a_class_folder_without_images_is_named(tmp_path):
    make(tmp_path, train={"a": 1, "b": 0}, val={"a": 1, "b": 1})
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/train holds no image of classes: b;"):
        load(tmp_path)


@pytest.mark.parametrize(("val", "message"), [
    ({"a": 1}, "val lacks classes: b;"), ({"a": 1, "b": 1, "c": 1}, "val adds classes: c;"),
])  # fmt: skip
def test_val_must_have_the_classes_of_train(tmp_path, val, message):
    make(tmp_path, train={"a": 1, "b": 1}, val=val)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def load_whole(root: Path, num_classes: int, **section: Any):
    config = DataConfig.model_validate({"image_folder": {"path": str(root), **section}})
    return load_data(config, num_classes, torch.device("cpu"))


def test_another_number_of_classes_than_the_models_is_refused_with_both(tmp_path):
    make(tmp_path, train={"a": 1, "b": 1}, val={"a": 1, "b": 1}, test={"a": 1, "b": 1})
    match = "has 2 classes, model.num_classes is 10; write num_classes: 2"
    with pytest.raises(ValueError, match=match):
        load_whole(tmp_path, 10)


def test_a_folder_is_streamed_with_the_mean_and_deviation_of_imagenet(tmp_path):
    make(tmp_path, train={"a": 1}, val={"a": 1}, test={"a": 1})
    data = load_whole(tmp_path, 1, on_bad_image="skip")
    assert isinstance(data.train, StreamedSplit)
    assert data.train.on_bad_image == "skip"
    # 255 times 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225.
    assert data.mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert data.std.flatten().tolist() == pytest.approx([58.395, 57.12, 57.375])
    assert data.mean.shape == data.std.shape == (3, 1, 1)


def damaged_in_the_middle() -> bytes:
    """A PNG whose compressed rows stop making sense half-way."""
    data = bytearray(encoded("PNG"))
    data[len(data) // 2 : len(data) // 2 + 300] = b"\xff" * 300
    return bytes(data)


def huge() -> bytes:
    """A PNG that says it is 60,000 pixels wide and high."""
    data = bytearray(encoded("PNG"))
    data[16:24] = struct.pack(">II", 60_000, 60_000)  # of the IHDR chunk, which begins at 12
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


BROKEN = {
    "truncated.jpg": (lambda: encoded()[:900], "truncated"),
    "truncated.png": (lambda: encoded("PNG")[:900], "truncated"),
    "damaged.png": (damaged_in_the_middle, "data stream"),
    "text.jpg": (lambda: b"not an image at all", "not an image"),
    "empty.jpg": (lambda: b"", "not an image"),
    "huge.png": (huge, "decompression bomb"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_decoded_names_itself_and_says_why(tmp_path, name):
    make_bytes, why = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(make_bytes())
    with pytest.raises(BadImage) as caught:
        read_image(str(path))
    assert str(caught.value).startswith(f"{path}: cannot be decoded (")
    assert why in str(caught.value)
    assert caught.value.name == str(path)


@pytest.mark.parametrize(("kind", "pixels"), [
    ("png", np.full((4, 4), 40_000, dtype=np.uint16)), ("tif", np.ones((4, 4), dtype=np.float32)),
    ("tif", np.full((4, 4), 70_000, dtype=np.int32)),
], ids=["16 bits", "float", "32 bits"])  # fmt: skip
def test_more_than_8_bits_per_channel_are_refused(tmp_path, kind, pixels):
    path = tmp_path / f"deep.{kind}"
    Image.fromarray(pixels).save(path)
    with pytest.raises(BadImage, match="has more than 8 bits per channel") as caught:
        read_image(str(path))
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
def test_every_mode_of_8_bits_becomes_rgb(tmp_path, mode):
    image = Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode)
    path = tmp_path / "white.tif"
    image.save(path)
    found = read_image(str(path))
    assert found.dtype == torch.uint8
    assert found.tolist() == np.full((3, 4, 5), 255).tolist()


@pytest.mark.parametrize("options", [
    {"subsampling": "4:4:4"}, {"subsampling": "4:2:2"}, {"subsampling": "4:2:0"},
    {"progressive": True}, {"quality": 5}, {"keep_rgb": True}, {"restart_marker_rows": 1},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_is_to_the_bit_what_pil_decodes(tmp_path, mode, options):
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8))
    path = tmp_path / "one.jpg"
    small.resize((201, 133)).convert(mode).save(path, **options)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    found = read_image(str(path))
    assert found.shape == (3, 133, 201)
    assert np.array_equal(found.permute(1, 2, 0), expected)


def test_a_usual_jpeg_is_decoded_without_pil(tmp_path, monkeypatch):
    path = tmp_path / "one.jpg"
    path.write_bytes(encoded())
    expected = read_image(str(path))
    monkeypatch.delattr(Image, "open")
    assert torch.equal(read_image(str(path)), expected)


def test_a_file_that_is_gone_is_no_bad_image(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_image(str(tmp_path / "gone.jpg"))


def test_a_bad_image_survives_the_way_from_a_loader_process():
    found = pickle.loads(pickle.dumps(BadImage("a.jpg: broken", "a.jpg")))
    assert (type(found), str(found), found.name) == (BadImage, "a.jpg: broken", "a.jpg")
