import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnet_core.data.class_names import class_names
from resnet_core.data.dataset import BadImage, StreamedSplit
from resnet_core.data.digest import split_digest
from resnet_core.data.folder import load_folder
from resnet_core.data.packed.layout import CorruptPack, Layout, read_pack_manifest
from resnet_core.data.packed.pack import CannotPack, Progress, pack
from resnet_core.data.packed.shard import NOTES
from resnet_core.data.packed.source import load_packed
from resnet_core.data.packed.verify import verify_packed
from resnet_core.data.section import DataConfig, ImageFolderConfig, PackedConfig
from tests.core.packed_images import make_folder, make_packed

RGB = Layout(32, "rgb")


def flip_a_byte(file: Path, at: int = 1000) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def open_all(folder: Path, **section) -> list:
    return load_packed(PackedConfig(path=str(folder), **section))[1]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


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


def test_packing_again_changes_nothing(tmp_path):
    folder, manifest = make_packed(tmp_path)
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert pack(tmp_path / "images", folder, RGB) == manifest
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before


def test_the_number_of_processes_changes_no_byte(tmp_path, monkeypatch):
    source = make_folder(tmp_path / "images", train=20, val=2)
    monkeypatch.setattr(Layout, "images_per_shard", 7)
    for processes in (1, 3):
        pack(source, tmp_path / f"by{processes}", RGB, num_processes=processes)
    assert contents(tmp_path / "by1") == contents(tmp_path / "by3")
    assert len(read_pack_manifest(tmp_path / "by1").splits["train"].shards) == 6  # 40 / 7
    train, *_ = open_all(tmp_path / "by1", validation_ratio=0.1)
    one_file = tmp_path / "one"
    monkeypatch.undo()
    pack(source, one_file, RGB)
    whole, *_ = open_all(one_file, validation_ratio=0.1)
    found, expected = (np.empty((36, RGB.record_bytes), dtype=np.uint8) for _ in range(2))
    order = np.random.default_rng(0).permutation(36)
    train.gather(order, found)
    whole.gather(order, expected)
    assert np.array_equal(found, expected)


PACK_SLOWLY = """
import sys, time
from pathlib import Path
from resnet_core.data.packed.layout import Layout
from resnet_core.data.packed.pack import pack
Layout.images_per_shard = 2
pack(Path(sys.argv[1]), Path(sys.argv[2]), Layout(32, "rgb"), on_progress=lambda _: time.sleep(0.2))
"""


def test_a_packing_that_was_killed_goes_on_and_ends_with_the_same_bytes(tmp_path, monkeypatch):
    source, folder = make_folder(tmp_path / "images", train=30, val=2), tmp_path / "packed"
    killed = subprocess.Popen([sys.executable, "-c", PACK_SLOWLY, source, folder])
    notes = folder / NOTES
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(notes.glob("*.json")):
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert list(notes.glob("*.json"))
    with pytest.raises(FileNotFoundError, match="packing did not end; run"):
        open_all(folder, validation_ratio=0.1)
    monkeypatch.setattr(Layout, "images_per_shard", 2)
    # What was there before anybody went on; the killed one's last process may still write.
    kept = {file.name: (folder / file.stem).stat().st_mtime_ns for file in notes.glob("*.json")}
    pack(source, folder, RGB)
    again = {f"{file.name}.json": file.stat().st_mtime_ns for file in folder.glob("*.records")}
    assert {name: again[name] for name in kept} == kept
    pack(source, tmp_path / "undisturbed", RGB)
    assert contents(folder) == contents(tmp_path / "undisturbed")
    assert verify_packed(folder).splits["train"].num_images == 60


def half_packed(tmp_path: Path, monkeypatch) -> tuple[Path, Path]:
    """A source, and a folder in which every shard is packed but the manifest is missing."""
    monkeypatch.setattr(Layout, "images_per_shard", 4)
    source, folder = make_folder(tmp_path / "images", train=6, val=2), tmp_path / "packed"

    def stop(progress: Progress) -> None:
        if progress.num_done == progress.num_images:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(source, folder, RGB, on_progress=stop)
    return source, folder


def test_a_shard_that_was_damaged_or_whose_source_changed_is_packed_again(tmp_path, monkeypatch):
    source, folder = half_packed(tmp_path, monkeypatch)
    flip_a_byte(folder / "train-00000.records")
    Image.new("RGB", (20, 20), (200, 0, 0)).save(source / "train/bee/005.png")
    before = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.records")}
    pack(source, folder, RGB)
    changed = [name for name, at in before.items() if (folder / name).stat().st_mtime_ns != at]
    assert sorted(changed) == ["train-00000.records", "train-00002.records"]
    pack(source, tmp_path / "undisturbed", RGB)
    assert contents(folder) == contents(tmp_path / "undisturbed")


def test_going_on_with_fewer_images_at_another_size_leaves_nothing_of_before(tmp_path, monkeypatch):
    source, folder = half_packed(tmp_path, monkeypatch)
    for name in ("ant", "bee"):
        for index in range(3):
            (source / f"train/{name}/{index:03d}.png").unlink()
    pack(source, folder, Layout(16, "rgb"))
    pack(source, tmp_path / "undisturbed", Layout(16, "rgb"))
    assert contents(folder) == contents(tmp_path / "undisturbed")


def test_a_bad_image_ends_packing_by_name_or_is_left_out_and_listed(tmp_path):
    source = make_folder(tmp_path / "images", train=4, val=2, test=1)
    bad = source / "train/bee/001.png"
    bad.write_bytes(bad.read_bytes()[:200])
    with pytest.raises(BadImage, match=rf"^{bad}: cannot be decoded"):
        pack(source, tmp_path / "packed", RGB)
    manifest = pack(source, tmp_path / "packed", RGB, skip_bad_images=True)
    assert manifest.splits["train"].skipped == (str(bad),)
    assert open_all(tmp_path / "packed")[0].labels.tolist() == [0] * 4 + [1] * 3


def test_shards_that_left_images_out_do_not_pass_where_that_is_an_error(tmp_path, monkeypatch):
    source = make_folder(tmp_path / "images", train=4, val=2)
    bad = source / "train/bee/001.png"
    bad.write_bytes(b"nothing")

    def stop(progress: Progress) -> None:
        if progress.num_done == progress.num_images:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "packed", RGB, skip_bad_images=True, on_progress=stop)
    with pytest.raises(BadImage, match=str(bad)):
        pack(source, tmp_path / "packed", RGB)


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


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    source = make_folder(tmp_path / "images", train=2, val=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(CannotPack, match="mine holds other files; name a folder that is empty"):
        pack(source, tmp_path / "mine", RGB)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_another_size_or_other_images_do_not_replace_what_is_packed(tmp_path):
    folder, _ = make_packed(tmp_path)
    with pytest.raises(CannotPack, match="holds the same at 32 px as rgb"):
        pack(tmp_path / "images", folder, Layout(16, "rgb"))
    (tmp_path / "images/train/ant/000.png").rename(tmp_path / "images/train/ant/999.png")
    with pytest.raises(CannotPack, match="holds other images, packed from"):
        pack(tmp_path / "images", folder, RGB)


def _hold(source: Path, folder: Path, holding, release) -> None:
    def wait(progress: Progress) -> None:
        holding.set()
        release.wait(60)

    pack(source, folder, RGB, on_progress=wait)


def test_two_do_not_pack_into_one_folder(tmp_path):
    source = make_folder(tmp_path / "images", train=2, val=2)
    context = multiprocessing.get_context("spawn")
    holding, release = context.Event(), context.Event()
    first = context.Process(target=_hold, args=(source, tmp_path / "packed", holding, release))
    first.start()
    assert holding.wait(120)
    try:
        with pytest.raises(CannotPack, match="another process packs into"):
            pack(source, tmp_path / "packed", RGB)
    finally:
        release.set()
        first.join()
    assert first.exitcode == 0


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
