"""What `sweeps doctor` finds, in conditions that are really broken wherever they can be had."""

import errno
import os
import resource
import shutil
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient

from sweeps.doctor import machine, storage
from sweeps.doctor.finding import State
from sweeps.doctor.machine import (
    check_gpus,
    check_open_files,
    check_shared_memory,
    check_versions,
    nvidia_gpus,
)
from sweeps.doctor.ray_cluster import check_ray
from sweeps.doctor.storage import check_space, check_storage
from sweeps.sections import ResourcesConfig
from sweeps.tracking import writable
from sweeps.tracking.writable import NotWritable, try_store


def test_a_sound_folder_is_tried_out_and_left_as_it_was(tmp_path: Path):
    assert check_storage(tmp_path / "results").state is State.OK
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_nobody_may_write_is_a_problem():
    found = check_storage(Path("/proc/results"))
    assert (found.state, found.message.split(": ")[0]) == (State.PROBLEM, "/proc cannot be written")


@pytest.mark.parametrize(
    ("flock", "told"),
    [
        (OSError(errno.ENOLCK, "No locks available"), "files cannot be locked"),
        (None, "two drivers could run one sweep"),
    ],
    ids=["refused", "pretended"],
)
def test_a_disk_without_locks_is_a_problem(tmp_path, monkeypatch, flock, told):
    def pretend(handle: int, kind: int) -> None:  # as a network disk does, which is not to be had
        if flock is not None:
            raise flock

    monkeypatch.setattr(storage.fcntl, "flock", pretend)
    found = check_storage(tmp_path)
    assert found.state is State.PROBLEM
    assert told in found.message
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_that_do_not_fit_on_the_disk_are_a_problem(load, tmp_path):
    free = shutil.disk_usage(tmp_path).free
    sets = ["search.trials=100000000", "storage.keep_best=null", "early_stopping=null"]
    found = check_space(tmp_path, load(sets=sets))
    assert found.state is State.PROBLEM
    told = float(found.message.split()[0])
    assert told == pytest.approx(free / 1e9, rel=0.05)  # others use the disk meanwhile
    assert check_space(tmp_path, load(sets=["search.trials=1"])).state is State.OK


def test_the_place_of_a_new_database_is_tried_out_and_left_as_it_was(tmp_path: Path):
    assert "made by the first sweep" in try_store(f"sqlite:///{tmp_path / 'mlflow.db'}", "e")
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_there_is_written_to_and_left_as_it_was(tmp_path: Path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("e", artifact_location=str(tmp_path))
    assert "reachable and writable" in try_store(uri, "e")
    assert client.get_experiment(experiment).tags == {}
    assert list(client.search_registered_models()) == []
    assert [one.name for one in client.search_experiments()] == ["e", "Default"]


def test_a_database_that_another_process_holds_is_told(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(writable, "_LOCK_SECONDS", 0.05)
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(NotWritable, match="another process holds its lock"):
            try_store(f"sqlite:///{file}", None)


def test_a_file_that_is_no_database_is_told(tmp_path: Path):
    (tmp_path / "mlflow.db").write_text("not a database at all, " * 100)
    with pytest.raises(NotWritable, match="file is not a database"):
        try_store(f"sqlite:///{tmp_path / 'mlflow.db'}", None)


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers everything with a status, and repeats what it was asked."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"no: {self.headers.get('Authorization')}".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  the name is http.server's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def patience(monkeypatch):
    """`try_store` sets how long MLflow waits; the other tests wait as they did."""
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(name, "1")


@pytest.mark.parametrize(
    ("status", "fix"),
    [(401, "MLFLOW_TRACKING_USERNAME"), (403, "--allowed-hosts"), (500, "the server's log")],
)
def test_a_server_that_refuses_is_told_with_what_to_do_and_without_the_password(
    patience, monkeypatch, status, fix
):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tracking-s3cret-token")
    with answering(status) as host, pytest.raises(NotWritable) as caught:
        try_store(f"http://me:hunter22@{host}", "e")
    assert str(status) in str(caught.value)
    assert fix in caught.value.fix
    assert "hunter22" not in str(caught.value)
    assert "tracking-s3cret-token" not in str(caught.value)


def closed_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_an_address_where_nothing_answers_is_told(patience):
    with pytest.raises(NotWritable) as caught:
        try_store(f"http://127.0.0.1:{closed_port()}", None)
    assert caught.value.fix.startswith("start the server")


def test_a_cluster_that_does_not_answer_is_a_problem(monkeypatch):
    address = f"127.0.0.1:{closed_port()}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    (found,) = check_ray(ResourcesConfig(), 0)
    assert (found.check, found.state) == ("ray", State.PROBLEM)
    assert address in found.message


def test_without_a_cluster_a_private_ray_has_what_this_machine_has(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    states = [one.state for one in check_ray(ResourcesConfig(), 0)]
    assert states == [State.OK, State.OK, State.OK]
    *_, room = check_ray(ResourcesConfig(gpus_per_worker=1), 1)
    assert (room.state, room.message) == (State.OK, "1 trial at a time")
    *_, room = check_ray(ResourcesConfig(gpus_per_worker=1, max_concurrent_trials=2), 1)
    assert (room.state, room.message.split(":")[0]) == (
        State.WARNING, "1 trial at a time, 2 asked for"
    )  # fmt: skip
    *_, room = check_ray(ResourcesConfig(gpus_per_worker=2), 1)
    assert room.state is State.PROBLEM
    assert "change resources" in (room.fix or "")


def test_versions_are_held_against_what_the_installed_package_asks_for(tmp_path, monkeypatch):
    folder = tmp_path / "asking-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: asking\nVersion: 1.0\n"
        "Requires-Dist: pytest>=1\nRequires-Dist: torch>=99\nProvides-Extra: sweeps\n"
        "Requires-Dist: not-there-at-all>=2; extra == 'sweeps'\n"
        "Requires-Dist: nor-this; extra == 'dev'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = check_versions("asking")
    assert found.state is State.PROBLEM
    torch, other = found.message.split("; ")
    assert torch.startswith("torch is ")
    assert torch.endswith(", not >=99")
    assert other == "not-there-at-all is missing"
    assert check_versions("no-package-of-this-name").state is State.WARNING
    assert check_versions().state is State.OK


@pytest.mark.parametrize(
    ("soft", "state"), [(64, State.PROBLEM), (300, State.WARNING), (1024, State.OK)]
)
def test_a_tiny_limit_of_open_files_is_told(soft, state):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        found = check_open_files()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert found.state is state
    assert str(soft) in found.message


@pytest.mark.parametrize(
    ("total", "free", "state"),
    [
        (64 * 2**20, 64 * 2**20, State.PROBLEM),
        (8 * 2**30, 10**8, State.WARNING),
        (8 * 2**30, 8 * 2**30, State.OK),
    ],
    ids=["docker's", "full", "enough"],
)
def test_little_shared_memory_is_told(tmp_path, monkeypatch, total, free, state):
    usage = shutil.disk_usage(tmp_path)._replace(total=total, free=free)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    found = check_shared_memory(tmp_path)
    assert found.state is state
    assert ("--shm-size" in (found.fix or "")) == (state is not State.OK)


def test_a_gpu_is_named_with_its_driver_and_one_that_torch_cannot_use_is_a_problem(
    tmp_path, monkeypatch
):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100, 550.54'\necho 'NVIDIA H100, 550.54'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    gpus = nvidia_gpus()
    assert gpus == ["NVIDIA H100, 550.54"] * 2
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = check_gpus(gpus, wanted=True)
    assert found.state is State.PROBLEM
    assert found.message.startswith("NVIDIA H100, driver 550.54 (and 1 more), but torch")


def test_a_machine_without_a_gpu_is_a_problem_only_to_a_sweep_that_wants_one():
    assert check_gpus([], wanted=False).message == "none here: training runs on the CPU"
    assert check_gpus([], wanted=True).state is State.PROBLEM


def test_the_doctor_is_asked_for_without_torch_ray_and_mlflow():
    import subprocess

    code = "import sys, sweeps.cli; print({'torch', 'ray', 'mlflow'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
