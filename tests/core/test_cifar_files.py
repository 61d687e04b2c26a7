"""CIFAR's files as somebody may bring them who wants harm: their digests are right here."""

import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_core.data.cifar import load_cifar
from resnet_core.data.section import CifarConfig
from tests.core.cifar_archive import DATASETS, Archive, make_archive

FACTS = DATASETS["cifar10"]


@pytest.fixture
def archive(monkeypatch) -> Archive:
    archive = make_archive("cifar10")
    for attribute, value in archive.facts.items():
        monkeypatch.setattr(FACTS, attribute, value)
    return archive


class Call:
    """Unpickled, it calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


def load(root: Path) -> Any:
    return load_cifar("cifar10", CifarConfig(root=str(root), validation_ratio=0))


def place(root: Path, monkeypatch, content: bytes) -> None:
    """The extracted folder with this as its first batch, as torchvision would take it."""
    folder = root / FACTS.base_folder
    folder.mkdir()
    (folder / "one").write_bytes(content)
    monkeypatch.setattr(FACTS, "train_list", [["one", hashlib.md5(content).hexdigest()]])


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (lambda trace: Call(os.system, f"touch {trace}"), "posix.system"),
        (lambda trace: Call(eval, f"open({str(trace)!r}, 'w')"), "builtins.eval"),
        (lambda trace: Call(np.save, str(trace), 0), "numpy.save"),
        (lambda trace: {"data": Call(os.mkdir, str(trace)), "labels": [1]}, "posix.mkdir"),
    ],
    ids=["system", "eval", "numpy-function", "in-a-batch"],
)
def test_a_program_in_a_batch_is_not_run(tmp_path, monkeypatch, archive, call, wanted):
    trace = tmp_path / "trace.npy"
    place(tmp_path, monkeypatch, pickle.dumps(call(trace)))
    with pytest.raises(OSError, match=f"one holds more than arrays .*: it wants {wanted}"):
        load(tmp_path)
    assert not trace.exists()


def test_a_batch_that_is_no_pickle_is_named(tmp_path, monkeypatch, archive):
    place(tmp_path, monkeypatch, b"\x80\x02nonsense")
    with pytest.raises(OSError, match="one holds more than arrays"):
        load(tmp_path)


def member(name: str, content: bytes = b"harm", **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for key, value in changes.items():
        setattr(entry, key, value)
    return entry, content


def bring(
    root: Path, monkeypatch, archive: Archive, *members: tuple[tarfile.TarInfo, bytes]
) -> None:
    """The archive with these members, instead of its own where they have one of its names."""
    names = {entry.name for entry, _ in members}
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive.data)) as whole,
        tarfile.open(fileobj=buffer, mode="w:gz") as tar,
    ):
        for entry in whole.getmembers():
            if entry.name not in names:
                tar.addfile(entry, whole.extractfile(entry))
        for entry, content in members:
            tar.addfile(entry, io.BytesIO(content))
    root.mkdir()
    (root / FACTS.filename).write_bytes(buffer.getvalue())
    monkeypatch.setattr(FACTS, "tgz_md5", hashlib.md5(buffer.getvalue()).hexdigest())


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_what_an_archive_holds_beside_the_batches_is_written_nowhere(
    tmp_path, monkeypatch, archive
):
    bring(
        tmp_path / "root", monkeypatch, archive,
        member("../outside"), member(f"{FACTS.base_folder}/../../outside"),
        member(str(tmp_path / "absolute")), member("beside"),
        member("link", b"", type=tarfile.SYMTYPE, linkname=str(tmp_path)), member("link/through"),
        member(FACTS.base_folder, b"", type=tarfile.SYMTYPE, linkname=str(tmp_path)),
    )  # fmt: skip
    train, _, _ = load(tmp_path / "root")
    assert len(train) == 40
    batches = {f"root/{FACTS.base_folder}/{name}" for name in ("one", "two", "test")}
    archives = {f"root/{FACTS.filename}", f"root/{FACTS.filename}.lock"}
    arrays = f"root/{FACTS.base_folder}-splits-"  # which processes map
    found = {name for name in files_in(tmp_path) if not name.startswith(arrays)}
    assert found == batches | archives


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_batch_that_is_no_regular_file_is_not_followed(tmp_path, monkeypatch, archive, kind):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    name = f"{FACTS.base_folder}/one"
    bring(
        tmp_path / "root", monkeypatch, archive, member(name, b"", type=kind, linkname=str(secret))
    )
    with pytest.raises(OSError, match=f"must hold {name} once, as a regular file"):
        load(tmp_path / "root")
    assert not (tmp_path / "root" / name).exists()
