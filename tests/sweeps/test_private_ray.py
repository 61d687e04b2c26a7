"""The Ray that a sweep starts for itself: who can reach it, and what is left of it."""

import os
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest
import ray
from ray._private.node import Node

from sweeps.cluster import connected
from sweeps.private_ray import end_stale_ones
from sweeps.ray_access import Access, access_without_token

pytestmark = [pytest.mark.ray, pytest.mark.slow]

VARIABLES = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def listening(processes: list[psutil.Process]) -> dict[str, set[str]]:
    """Name of a process -> the addresses it listens on."""
    return {
        f"{one.name()} {one.pid}": {
            found.laddr.ip for found in one.net_connections() if found.status == psutil.CONN_LISTEN
        }
        for one in processes
    }


def test_nobody_else_gets_in_and_nothing_is_left(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "the-user's-own-for-a-cluster")
    me = psutil.Process()
    before = set(me.children(recursive=True))
    with connected():
        file = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
        token = file.read_text()
        assert len(token) == 64
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700  # Ray's own folder is in it

        @ray.remote
        def environment() -> dict[str, str]:
            return dict(os.environ)

        assert token not in ray.get(environment.remote()).values()
        head = ray.get_runtime_context().gcs_address
        processes = [one for one in me.children(recursive=True) if one not in before]
        found = listening([me, *processes])
        assert len(set().union(*found.values())) > 1  # it does listen, on IPv4 and IPv6
        for name, addresses in found.items():
            assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}, name
        assert not any(token in " ".join(one.cmdline()) for one in processes)
        told = " ".join(argument for one in processes for argument in one.cmdline())
        assert "gcs_server" in told
        for unused in ("monitor.py", "log_monitor.py", "dashboard.py"):
            assert unused not in told

        assert access_without_token(head) is Access.TOKEN
        url = url_of_agent(processes)
        assert answer(url, "0" * 64, timeout=30) == 403
        assert answer(url, token, timeout=30) == 404  # it is in, and there is no such page
        (raylet,) = [one for one in processes if one.name() == "raylet"]
        stop = Node.kill_all_processes

        def stop_a_slow_one(self: Node, *args: bool, **kwargs: bool) -> None:
            raylet.suspend()  # so it gets nothing done in the second it is given
            stop(self, *args, **kwargs)

        monkeypatch.setattr(Node, "kill_all_processes", stop_a_slow_one)
    assert [one for one in processes if one.is_running()] == []
    assert not file.parent.exists()
    assert os.environ["RAY_AUTH_TOKEN"] == "the-user's-own-for-a-cluster"
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ


def test_of_a_killed_drivers_ray_neither_a_process_nor_the_folder_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    driver = subprocess.Popen([sys.executable, "-c", ""])
    driver.wait()
    dead, living = (tmp_path / f"sweeps-{pid}-a" for pid in (driver.pid, os.getpid()))
    waiting = [sys.executable, "-c", "print(flush=True); input()"]
    with ExitStack() as stack:
        agents = [
            stack.enter_context(
                subprocess.Popen(
                    [*waiting, f"--session-dir={folder}/ray"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for folder in (dead, living)
        ]
        for folder, agent in zip((dead, living), agents, strict=True):
            (folder / "ray").mkdir(parents=True)
            assert agent.stdout is not None
            agent.stdout.readline()
        end_stale_ones()
        assert not dead.exists()
        assert living.exists()
        assert agents[0].poll() is not None
        assert agents[1].poll() is None


def url_of_agent(processes: list[psutil.Process]) -> str:
    """Of a page that there is not, of the node's agent, which runs jobs; its port opens late."""
    (agent,) = [one for one in processes if "DashboardAgent" in one.name()]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for one in agent.net_connections():
            if one.status == psutil.CONN_LISTEN:
                url = f"http://127.0.0.1:{one.laddr.port}/api/job_agent/none"
                if answer(url, None, timeout=3) == 401:
                    return url
    raise AssertionError("no port asks for a token")


def answer(url: str, token: str | None, timeout: float) -> int | None:
    """The status; None if there is none, as of a port that speaks gRPC."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout):
            return 200
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, HTTPException):
        return None
