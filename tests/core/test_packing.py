"""Packing a folder: it may be killed, repeated or shared out, and leaves alone what is not its."""

import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnet_core.data.dataset import BadImage
from resnet_core.data.packed.layout import Layout, read_pack_manifest
from resnet_core.data.packed.pack import CannotPack, Progress, pack
from resnet_core.data.packed.shard import NOTES
from resnet_core.data.packed.verify import verify_packed
from tests.core.packed_images import RGB, flip_a_byte, make_folder, make_packed, open_all


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


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
