"""Checkpoints whose bytes somebody, or something, has changed: the truth comes out, or one error.

A changed byte is found by its digest. Who puts the digests right as well may change the weights,
but what is loaded stays data: nothing of it is run.
"""

import io
import os
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from resnet_core import manifest
from resnet_core.checkpoint import load_checkpoint, save_checkpoint
from resnet_core.manifest import CorruptCheckpoint, read_manifest
from tests.faults.table import Table

pytestmark = pytest.mark.faults
in_ci = pytest.mark.faults_in_ci
many = pytest.mark.parametrize("cases", [pytest.param(200, marks=in_ci), 1000])

CPU = torch.device("cpu")
STATES = {
    "model": {
        "conv1.weight": torch.arange(12.0).view(3, 4),
        "bn1.num_batches_tracked": torch.ones(()),
    },
    "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]},
}
FILES = ("manifest.json", "model.pt", "optimizer.pt")
Change = tuple[str, str, float, bytes]

changes = st.tuples(
    st.sampled_from(FILES),
    st.sampled_from(["flip", "cut", "replace", "insert", "delete"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=64),
)
"""A file, what happens to it, where (as a share of its length), and with which bytes."""


def save(folder: Path, **states: Any) -> Path:
    save_checkpoint(
        folder, states=STATES | states, epoch=2, step=20, metrics={"val_accuracy": 0.5},
        recipe={"seed": 7, "methods": {"mixup": None}}, elapsed_seconds=1.5,
    )  # fmt: skip
    return folder


def changed(content: bytes, change: Change) -> bytes:
    _, kind, share, data = change
    at = int(share * len(content))
    match kind:
        case "flip":
            bit = 1 << data[0] % 8
            return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
        case "cut":
            return content[:at]
        case "replace":
            return content[:at] + data + content[at + len(data) :]
        case "insert":
            return content[:at] + data + content[at:]
        case _:
            return content[:at] + content[at + len(data) :]


def put_digests_right(folder: Path, about: manifest.Manifest) -> None:
    """What an attacker does who knows the format."""
    sha256 = {name: manifest.file_sha256(folder / name) for name in about.sha256}
    (folder / "manifest.json").write_text(replace(about, sha256=sha256).to_json())


def draw(faults: Table, cases: int, check: Callable[[list[Change]], None]) -> None:
    """Check so many draws of changes, the same ones again for the same ``--fault-seed``."""
    run = given(st.lists(changes, min_size=1, max_size=3))(check)
    run = settings(
        max_examples=cases, database=None, deadline=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )(run)  # fmt: skip
    seed(faults.seed)(run)()


@many
def test_changed_bytes_are_refused_or_change_nothing(tmp_path, faults: Table, cases):
    whole = save(tmp_path / "ep0002")
    expected, about = load_checkpoint(whole, CPU)
    contents = {name: (whole / name).read_bytes() for name in FILES}

    def check(drawn: list[Change]) -> None:
        for name in FILES:
            content = contents[name]
            for change in drawn:
                if change[0] == name and content:
                    content = changed(content, change)
            (whole / name).write_bytes(content)
        with faults.trial("checkpoint's bytes changed"):
            try:
                found, found_about = load_checkpoint(whole, CPU)
            except CorruptCheckpoint:
                return
            torch.testing.assert_close(found, expected, rtol=0, atol=0)
            assert found_about == about

    draw(faults, cases, check)


@many
def test_changed_bytes_with_their_digests_put_right_are_data_or_refused(
    tmp_path, faults: Table, cases
):
    whole = save(tmp_path / "ep0002")
    about = read_manifest(whole)
    contents = {name: (whole / name).read_bytes() for name in about.sha256}

    def check(drawn: list[Change]) -> None:
        for name, content in contents.items():
            for change in drawn:
                if content:
                    content = changed(content, change)
            (whole / name).write_bytes(content)
        put_digests_right(whole, about)
        with (
            faults.trial("checkpoint's bytes changed, and its digests"),
            suppress(CorruptCheckpoint),
        ):
            load_checkpoint(whole, CPU)

    draw(faults, cases, check)


class Call:
    """Unpickled, it calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


def hostile_objects(trace: Path) -> list[Any]:
    command = f"touch {trace}"
    return [
        Call(os.system, command),
        Call(eval, f"open({str(trace)!r}, 'w')"),
        Call(exec, f"open({str(trace)!r}, 'w')"),
        Call(open, str(trace), "w"),
        Call(os.mkdir, str(trace)),
        Call(getattr, Call(__import__, "os"), "system"),
        Call(shutil.copy, "/etc/hostname", str(trace)),
        Call(torch.load, str(trace)),
        Call(torch.save, {}, str(trace)),
        Call(torch.hub.download_url_to_file, f"file://{__file__}", str(trace)),
        Call(torch.jit.load, str(trace)),
        {"conv1.weight": torch.ones(2), "extra": Call(os.system, command)},
    ]


@in_ci
@pytest.mark.parametrize("is_zip", [True, False], ids=["archive", "bare-pickle"])
@pytest.mark.parametrize("file", ["model.pt", "optimizer.pt"])
def test_a_program_in_a_checkpoint_is_not_run(tmp_path, faults: Table, file, is_zip):
    trace = tmp_path / "trace"
    for bad in hostile_objects(trace):
        whole = save(tmp_path / "ep0002")
        about = read_manifest(whole)
        buffer = io.BytesIO()
        if is_zip:
            torch.save(bad, buffer)
        else:
            pickle.dump(bad, buffer, protocol=2)
        (whole / file).write_bytes(buffer.getvalue())
        put_digests_right(whole, about)
        with faults.trial("program in a checkpoint"):
            with pytest.raises(CorruptCheckpoint, match=rf"{file}: holds something else than"):
                load_checkpoint(whole, CPU)
            assert not trace.exists()


@in_ci
def test_such_a_program_would_be_run_by_a_pickle(tmp_path):
    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(hostile_objects(trace)[0]))
    assert trace.exists()
