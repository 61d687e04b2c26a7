"""A cluster of several nodes on this machine, and what Ray says is still there."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from subprocess import DEVNULL, Popen
from typing import Any

import psutil

from tests.e2e.conftest import Cluster, free_port


@dataclass(frozen=True)
class Node:
    """A node beside the head: the process that started it, as the first one of a container."""

    start: Popen[bytes]

    def raylet(self) -> psutil.Process:
        (raylet,) = [p for p in psutil.Process(self.start.pid).children() if p.name() == "raylet"]
        return raylet

    def has(self, pid: int) -> bool:
        return pid in {p.pid for p in psutil.Process(self.start.pid).children(recursive=True)}


@contextmanager
def node(cluster: Cluster, *, grace_seconds: int = 60) -> Iterator[Node]:
    """A node with one CPU, ``ray start --block``, that is there when the block begins."""
    known = len(state_of(cluster, "nodes", "state=ALIVE"))
    command = f"ray start --block --address {cluster.ray['RAY_ADDRESS']} --num-cpus 1"
    command += " --node-ip-address 127.0.0.1 --disable-usage-stats --include-log-monitor false"
    command += f" --dashboard-agent-listen-port {free_port()}"
    # As on a machine of its own: in one folder, nodes remove each other's working directories.
    command += f" --temp-dir {cluster.folder / f'n{known}'}"
    grace = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": str(grace_seconds)}
    start = Popen(
        command.split(), env=cluster.environment | grace, stdout=DEVNULL, stderr=DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        while len(state_of(cluster, "nodes", "state=ALIVE")) == known:
            assert start.poll() is None
            time.sleep(0.1)
        yield Node(start)
    finally:
        family = [start.pid]
        with suppress(psutil.NoSuchProcess):
            family += [p.pid for p in psutil.Process(start.pid).children(recursive=True)]
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        start.wait()


def state_of(cluster: Cluster, kind: str, *filters: str) -> list[dict[str, Any]]:
    """What Ray's State API lists: nodes, actors, placement_groups; filters as ``state=ALIVE``."""
    query = "&".join(
        f"filter_keys={key}&filter_predicates=%3D&filter_values={value}"
        for key, value in (one.split("=") for one in filters)
    )
    request = urllib.request.Request(
        f"{cluster.dashboard}/api/v0/{kind}?limit=10000&{query}",
        headers={"Authorization": f"Bearer {cluster.ray['RAY_AUTH_TOKEN']}"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"]["result"]["result"]


def assert_given_back(cluster: Cluster) -> None:
    """Raise AssertionError if an actor or a placement group of an ended sweep is still there."""
    # Ray Train keeps one of its own actors per cluster, without a CPU.
    alive = {one["class_name"] for one in state_of(cluster, "actors") if one["state"] != "DEAD"}
    assert alive - {"_AutoscalingCoordinatorActor"} == set()
    groups = [one for one in state_of(cluster, "placement_groups") if one["state"] != "REMOVED"]
    assert groups == []
