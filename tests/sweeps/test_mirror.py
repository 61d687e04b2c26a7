"""Copies of what lies in an object store: two of one folder are two machines."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps import mirror
from sweeps.mirror import Mirror
from sweeps.object_store import join
from tests.object_storage import s3_folder


@pytest.fixture
def address() -> Iterator[str]:
    with s3_folder() as found:
        yield found


@pytest.fixture
def two(address: str) -> Iterator[tuple[Mirror, Mirror]]:
    here, there = Mirror(address), Mirror(address)
    yield here, there
    here.close()
    there.close()


def write(root: Path, name: str, text: str = "x") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def noted_uploads(one: Mirror, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what it sends from now on, in order."""
    sent, upload = [], one.store.upload

    def note(file: Path, name: str) -> None:
        sent.append(name)
        upload(file, name)

    monkeypatch.setattr(one.store, "upload", note)
    return sent


def names(root: Path) -> set[str]:
    files = [path for path in root.rglob("*") if path.is_file() and path.name != ".alive"]
    return {path.relative_to(root).as_posix() for path in files}


def test_what_one_publishes_the_other_fetches(two):
    here, there = two
    mirror.publish(write(here.root, "digits/state.json", "{}"))
    assert names(there.root) == set()
    mirror.fetch(there.root / "digits")
    assert (there.root / "digits/state.json").read_text() == "{}"


def test_weights_are_fetched_on_demand_and_can_be_forgotten(two):
    here, there = two
    write(here.root, "digits/trials/t0/checkpoints/ep0001/model.pt")
    write(here.root, "digits/trials/t0/trial.json")
    mirror.publish(here.root / "digits")
    mirror.fetch(there.root)
    assert names(there.root) == {"digits/trials/t0/trial.json"}
    weights = there.root / "digits/trials/t0/checkpoints"
    mirror.fetch(weights, weights=True)
    assert names(weights) == {"ep0001/model.pt"}
    mirror.forget(weights)
    assert not weights.exists()
    mirror.fetch(weights, weights=True)
    assert names(weights) == {"ep0001/model.pt"}


def test_what_is_published_is_not_fetched_again_though_it_is_newer_there(two):
    here, there = two
    mirror.publish(write(here.root, "a/trial.json", "mine"))
    there.store.write("a/trial.json", b"not")
    mirror.fetch(here.root)
    assert (here.root / "a/trial.json").read_text() == "mine"


def test_a_change_of_the_same_size_in_the_same_second_is_seen(two):
    here, there = two
    for text in ("one", "two"):
        mirror.publish(write(here.root, "a/state.json", text))
        mirror.fetch(there.root)
        assert (there.root / "a/state.json").read_text() == text


def test_what_is_gone_there_goes_here_but_nothing_of_ones_own(two):
    here, there = two
    mirror.publish(write(here.root, "a/cancel"))
    mirror.fetch(there.root)
    own = write(there.root, "a/own")
    mirror.remove(here.root / "a/cancel")
    mirror.fetch(there.root)
    assert names(there.root) == {"a/own"}
    assert own.exists()


def test_a_folder_published_again_sends_what_changed_and_removes_what_went(two, monkeypatch):
    here, there = two
    folder = here.root / "t0"
    for epoch in ("ep0001", "ep0002"):
        write(folder, f"checkpoints/{epoch}/model.pt")
    write(there.root, "t0/trial.json")
    mirror.publish(there.root / "t0/trial.json")
    mirror.publish(folder)
    sent = noted_uploads(here, monkeypatch)
    for file in (folder / "checkpoints/ep0001").iterdir():
        file.unlink()
    write(folder, "checkpoints/ep0003/model.pt")
    write(folder, ".half")
    mirror.publish(folder)
    assert sent == ["t0/checkpoints/ep0003/model.pt"]
    assert [one.name for one in here.store.listed()] == [
        "t0/checkpoints/ep0002/model.pt",
        "t0/checkpoints/ep0003/model.pt",
        "t0/trial.json",
    ]


def test_a_manifest_is_sent_after_the_files_it_vouches_for(two, monkeypatch):
    here, _ = two
    folder = here.root / "t0/checkpoints/ep0001"
    for name in ("manifest.json", "model.pt", "zeta.pt"):
        write(folder, name)
    sent = noted_uploads(here, monkeypatch)
    mirror.publish(folder)
    assert [name.rpartition("/")[2] for name in sent] == ["model.pt", "zeta.pt", "manifest.json"]


def test_another_process_opens_a_place_whole_and_leaves_no_copy(two):
    here, _ = two
    folder = here.root / "digits/trials/t0"
    write(folder, "checkpoints/ep0001/model.pt", "weights")
    mirror.publish(folder)
    place = mirror.place_of(folder)
    assert place == join(here.address, "digits/trials/t0")
    with mirror.at(place) as found:
        assert names(found) == {"checkpoints/ep0001/model.pt"}
        write(found, "metrics.jsonl")
        mirror.publish(found)
    assert not found.exists()
    assert here.store.read("digits/trials/t0/metrics.jsonl") == b"x"


def test_an_ordinary_folder_is_left_as_it_is(tmp_path):
    file = write(tmp_path, "a/state.json")
    mirror.publish(file)
    mirror.fetch(tmp_path)
    mirror.forget(tmp_path / "a")
    assert (mirror.place_of(file), mirror.is_copy(file)) == (str(file), False)
    with mirror.at(str(tmp_path)) as found:
        assert found == tmp_path
    assert file.exists()
    mirror.remove(tmp_path / "a")
    assert not file.exists()


def test_the_copy_of_a_process_that_was_killed_is_removed_by_the_next_one(address):
    code = (
        "import sys, time; from sweeps.mirror import Mirror;"
        f"print(Mirror({address!r}).root, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        left = Path(one.stdout.readline().strip())
        assert left.parent == Path(tempfile.gettempdir()).resolve()
        living = Mirror(address)
        assert left.exists()
        os.kill(one.pid, signal.SIGKILL)
    Mirror(address).close()
    assert not left.exists()
    assert living.root.exists()
    living.close()
    assert not living.root.exists()
