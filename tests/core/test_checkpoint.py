import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_core.checkpoint import load_checkpoint, save_checkpoint
from resnet_core.manifest import (
    CorruptCheckpoint,
    Manifest,
    newest_checkpoint,
    read_manifest,
    verify_checkpoint,
)
from tests.core.tiny_recipe import tiny_recipe

CPU = torch.device("cpu")
FILES = ["manifest.json", "model.pt", "optimizer.pt"]


def save(folder: Path, *, epoch: int = 1) -> Path:
    save_checkpoint(
        folder,
        states={
            "model": {"conv1.weight": torch.arange(6.0).view(2, 3) + epoch},
            "optimizer": {
                "state": {0: {"momentum_buffer": torch.ones(3)}},
                "param_groups": [{"lr": 0.1}],
            },
        },
        epoch=epoch,
        step=10 * epoch,
        metrics={"val_accuracy": 0.5, "finished": False},
        recipe={"seed": 7, "lr_schedulers": {"linear_warmup": "1ep"}},
        elapsed_seconds=1.5,
    )
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_what_is_saved_is_loaded(tmp_path):
    states, manifest = load_checkpoint(save(tmp_path / "ep0003", epoch=3), CPU)
    model, optimizer = states["model"], states["optimizer"]
    expected = torch.tensor([[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]])
    assert torch.equal(model["conv1.weight"], expected)
    assert torch.equal(optimizer["state"][0]["momentum_buffer"], torch.ones(3))
    assert optimizer["param_groups"] == [{"lr": 0.1}]
    assert (manifest.epoch, manifest.step) == (3, 30)
    assert manifest.metrics == {"val_accuracy": 0.5, "finished": False}
    assert manifest.recipe == {"seed": 7, "lr_schedulers": {"linear_warmup": "1ep"}}


def test_a_checkpoint_is_three_files_and_nothing_beside_them(tmp_path):
    folder = save(tmp_path / "new" / "folders" / "ep0001")
    assert names(folder) == FILES
    assert names(folder.parent) == ["ep0001"]


def test_the_manifest_is_readable_without_the_states(tmp_path):
    folder = save(tmp_path / "ep0002", epoch=2)
    (folder / "model.pt").unlink()
    assert read_manifest(folder).step == 20


def test_saving_again_replaces(tmp_path):
    folder = save(tmp_path / "last", epoch=1)
    (folder / "stray.txt").touch()
    save(folder, epoch=2)
    assert verify_checkpoint(folder).epoch == 2
    assert names(folder) == FILES


def break_writing(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Let the first file be written and the disk be full from then on."""

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    if what != "second state file":
        monkeypatch.setattr({"manifest": json, "sync": os}[what],
                            {"manifest": "dumps", "sync": "fsync"}[what], full)  # fmt: skip
        return
    write = torch.save

    def first_only(state: Any, file: Any) -> None:
        if "param_groups" in state:
            file.write(b"half")
            full()
        write(state, file)

    monkeypatch.setattr(torch, "save", first_only)


@pytest.mark.parametrize("what", ["second state file", "manifest", "sync"])
def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch, what):
    break_writing(monkeypatch, what)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path / "ep0001")
    assert names(tmp_path) == []


@pytest.mark.parametrize("what", ["second state file", "manifest", "sync"])
def test_an_interrupted_write_leaves_the_older_checkpoint_whole(tmp_path, monkeypatch, what):
    folder = save(tmp_path / "last", epoch=1)
    break_writing(monkeypatch, what)
    with pytest.raises(OSError, match="No space left"):
        save(folder, epoch=2)
    monkeypatch.undo()
    assert verify_checkpoint(folder).epoch == 1
    assert names(tmp_path) == ["last"]


@pytest.mark.parametrize("name", ["model.pt", "optimizer.pt"])
@pytest.mark.parametrize("damage", ["flipped byte", "truncated", "missing"])
def test_a_damaged_state_file_is_named(tmp_path, name, damage):
    folder = save(tmp_path / "ep0001")
    file = folder / name
    if damage == "flipped byte":
        flip_a_byte(file)
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        file.unlink()
    with pytest.raises(CorruptCheckpoint, match=f"ep0001/{name}"):
        load_checkpoint(folder, CPU)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"unknown": 1}', None],
    ids=["empty", "cut off", "a list", "no keys", "not UTF-8", "unknown key", "missing"],
)
def test_an_unreadable_manifest_is_named(tmp_path, content):
    folder = save(tmp_path / "ep0001")
    if content is None:
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_bytes(content)
    with pytest.raises(CorruptCheckpoint, match=r"ep0001/manifest\.json"):
        load_checkpoint(folder, CPU)


def change_manifest(folder: Path, **changes: Any) -> None:
    """Change what a manifest says, and none of its digests."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def test_another_layout_is_refused_by_its_number(tmp_path):
    change_manifest(save(tmp_path / "ep0001"), format=99)
    with pytest.raises(CorruptCheckpoint, match="format 99, this version reads 3"):
        verify_checkpoint(tmp_path / "ep0001")


@pytest.mark.parametrize(
    "changes",
    [{"epoch": 2}, {"metrics": {}}, {"recipe": {"seed": 8}}, {"sha256": {}}, {"more": 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_manifest_that_says_something_else_than_when_it_was_saved_is_refused(tmp_path, changes):
    change_manifest(save(tmp_path / "ep0001"), **changes)
    with pytest.raises(CorruptCheckpoint, match="its sha256 is not the one it states"):
        read_manifest(tmp_path / "ep0001")


def test_a_manifest_states_its_recipes_digest(tmp_path):
    recipe = tiny_recipe()
    manifest = Manifest(1, 3, {}, recipe.to_dict(), {"model.pt": "0"}, 1.5)
    assert json.loads(manifest.to_json())["recipe_sha256"] == recipe.digest()


@pytest.mark.parametrize("name", ["../model.pt", "/etc/passwd", "a/b.pt", ".pt", "model.pt\n"])
def test_a_manifest_that_names_a_file_elsewhere_is_refused(tmp_path, name):
    manifest = Manifest(1, 3, {}, {}, {"model.pt": "0", name: "0"}, 1.5)
    (tmp_path / "manifest.json").write_text(manifest.to_json())
    with pytest.raises(CorruptCheckpoint, match="files of the folder alone"):
        read_manifest(tmp_path)


def test_states_are_read_without_pickles_arbitrary_code(tmp_path):
    folder = tmp_path / "ep0001"
    path_object: dict[str, Any] = {"weight": Path("/")}
    save_checkpoint(
        folder,
        states={"model": path_object},
        epoch=1,
        step=1,
        metrics={},
        recipe={},
        elapsed_seconds=0.0,
    )
    with pytest.raises(CorruptCheckpoint, match=r"ep0001/model\.pt: holds something else than"):
        load_checkpoint(folder, CPU)


def test_the_newest_checkpoint_is_that_of_the_latest_epoch(tmp_path):
    for epoch in (2, 10, 9):
        save(tmp_path / f"ep{epoch:04d}", epoch=epoch)
    (tmp_path / "best").mkdir()
    assert newest_checkpoint(tmp_path) == tmp_path / "ep0010"


@pytest.mark.parametrize("name", FILES)
def test_a_bad_newest_checkpoint_is_set_aside_and_the_one_before_is_taken(tmp_path, name):
    for epoch in (1, 2):
        save(tmp_path / f"ep{epoch:04d}", epoch=epoch)
    (tmp_path / "ep0002" / name).unlink()
    said: list[str] = []
    assert newest_checkpoint(tmp_path, said.append) == tmp_path / "ep0001"
    (text,) = said
    assert f"ep0002 is damaged and was set aside as {tmp_path / 'bad-ep0002'}: " in text
    assert f"ep0002/{name}" in text
    assert names(tmp_path) == ["bad-ep0002", "ep0001"]


def test_without_somebody_to_tell_a_bad_checkpoint_is_a_warning(tmp_path):
    (tmp_path / "ep0001").mkdir()
    with pytest.warns(UserWarning, match="ep0001 is damaged"):
        assert newest_checkpoint(tmp_path) is None


def test_what_killed_writers_left_is_put_back_or_removed(tmp_path):
    save(tmp_path / "ep0001", epoch=1).rename(tmp_path / ".ep0001.replaced")
    save(tmp_path / "ep0002", epoch=2)
    (tmp_path / ".ep0002.4711").mkdir()
    (tmp_path / ".ep0002.replaced").mkdir()
    (tmp_path / ".ep0003.4711").mkdir()
    assert newest_checkpoint(tmp_path) == tmp_path / "ep0002"
    assert names(tmp_path) == ["ep0001", "ep0002"]


def test_everything_is_synced_in_an_order_that_no_loss_of_power_can_turn_around(
    tmp_path, monkeypatch
):
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def synced(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        done.append(str(path.relative_to(tmp_path)).replace(f".{os.getpid()}", ""))
        sync(handle)

    def renamed(path: Path, target: Path) -> Path:
        done.append(f"{path.name} -> {target.name}".replace(f".{os.getpid()}", ""))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    save(tmp_path / "new" / "folder" / "ep0001")
    new, temporary = "new/folder", "new/folder/.ep0001"
    files = [f"{temporary}/{name}" for name in ("model.pt", "optimizer.pt", "manifest.json")]
    assert done == ["new", ".", *files, temporary, ".ep0001 -> ep0001", new]


def test_there_is_no_newest_checkpoint_in_an_empty_or_missing_folder(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "missing") is None
