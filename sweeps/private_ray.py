"""A Ray for one sweep, on this machine and for nobody else: loopback, with a token of its own.

Left to itself, Ray listens on every address of the machine, with a token in ``~/.ray/auth_token``
that it writes readable for every user. Here every process listens on 127.0.0.1 only, and the token
lies in a folder of the owner's that is gone with the Ray.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import ray
from ray import _raylet
from ray._private import ray_constants
from ray._private.node import Node

_AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_REPORTS = {"RAY_enable_metrics_collection": "0", "RAY_task_events_report_interval_ms": "0"}
"""Unless the user has set them: figures for Prometheus, and tasks for whoever lists them. Nobody
but the driver reaches this Ray."""
_FOR_OTHERS = ("start_monitor", "start_log_monitor", "start_api_server")
"""How Ray starts its autoscaler, the reader of logs and the server of the dashboard. One node
cannot grow, logs are not read on (`log_to_driver`), nobody opens the dashboard; each of them takes
seconds of the cores at the start, and a share of them while trials train."""
_GRACE_SECONDS = 5.0


@contextmanager
def private_ray(logging_level: int) -> Iterator[None]:
    """Start it for the block; it leaves no process, no file and no variable behind."""
    before = {name: os.environ.pop(name, None) for name in (*_AUTHENTICATION, *_REPORTS)}
    # For its owner only; Ray lets everybody into its own folder, so that one lies inside.
    folder = Path(tempfile.mkdtemp(prefix=f"sweeps-{os.getpid()}-"))
    try:
        os.environ |= {name: before[name] or value for name, value in _REPORTS.items()}
        _demand_token(folder / "token")
        with _loopback_only(), _for_nobody_else():
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging_level,
                _temp_dir=str(folder / "ray"),
            )
        yield
    finally:
        _stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _stop(folder: Path) -> None:
    """Stop the Ray whose files lie in ``folder``, and what it leaves behind where it is slow.

    Ray gives its node manager a second to stop the processes below it and then kills it; the
    node's agents would look for their parent a minute later.
    """
    processes = _processes(folder)
    ray.shutdown()
    _end(processes)


def _end(processes: list[psutil.Process]) -> None:
    left = [one for one in processes if one.is_running()]
    for send in (psutil.Process.terminate, psutil.Process.kill):
        for one in left:
            with suppress(psutil.NoSuchProcess):
                send(one)
        _, left = psutil.wait_procs(left, timeout=_GRACE_SECONDS)


def _processes(folder: Path) -> list[psutil.Process]:
    """Ray's servers, which this process has started, and whatever they have."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if _mentions(child, folder):
                found += [child, *child.children(recursive=True)]
    return found


def _mentions(process: psutil.Process, folder: Path) -> bool:
    """Whether the folder, or a file in it, stands among the process's arguments."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return any(f"{folder}/" in f"{argument}/" for argument in process.cmdline())
    return False


def _demand_token(file: Path) -> None:
    """A fresh token, for this process and those that Ray starts."""
    file.touch(0o600, exist_ok=False)
    file.write_text(secrets.token_hex(32))
    # The file's name, not the token, is what the environment of workers shows.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}
    # Ray has read its environment when it was imported. In this order: a thread of an earlier Ray
    # that still ends would look for a token in between.
    raylet: Any = _raylet  # has no types
    raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Let Ray take 127.0.0.1 for this machine's address, and so listen nowhere else.

    ``_node_ip_address="127.0.0.1"`` does not: Ray looks up an address that others can reach.
    On macOS and Windows this is what Ray does anyway.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _for_nobody_else() -> Iterator[None]:
    """Let Ray start without what serves others; `ray.init` has no option for it."""
    with ExitStack() as stack:
        for name in _FOR_OTHERS:
            stack.callback(setattr, Node, name, getattr(Node, name))
            setattr(Node, name, lambda *_, **__: None)
        yield


def end_stale_ones() -> None:
    """End what is left of the private Rays of killed drivers, and remove their folders.

    Their agents look for them once a minute; until then they take memory, and write files.
    """
    for folder in Path(tempfile.gettempdir()).glob("sweeps-*-*"):
        pid = folder.name.split("-")[1]
        with suppress(FileNotFoundError):  # another driver removes it, too
            is_own = folder.lstat().st_uid == os.getuid()
            if is_own and pid.isdigit() and not psutil.pid_exists(int(pid)):
                _end([one for one in psutil.process_iter() if _mentions(one, folder)])
                shutil.rmtree(folder, ignore_errors=True)
