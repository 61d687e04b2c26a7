"""Runs that a driver left open when it was killed; nothing but the next driver can close them."""

import socket
import uuid
from pathlib import Path
from typing import Any

from sweeps.object_store import is_address
from sweeps.storage import SweepFolder

_PAGE = 1000


def folder_tags(folder: SweepFolder) -> dict[str, str]:
    """Tags of the sweep's run that tell the drivers of other sweeps where to look for its lock."""
    return {"sweep.folder": folder.place, "sweep.host": _this_machine()}


def close_dead_runs(client: Any, experiment_id: str, own_id: str) -> list[str]:
    """Close as KILLED what other sweeps of the experiment have open without a living driver.

    A driver lives while it holds its folder's lock, which only its own machine can tell. Runs of
    other machines, of sweeps in an object store, and runs that are no sweep's are left alone; so
    are this sweep's, which go on.

    Args:
        client: An `MlflowClient`.
        experiment_id: Where to look.
        own_id: Of the sweep that is starting.

    Returns:
        The ids of the runs that were closed.
    """
    condition = f"attributes.status = 'RUNNING' and tags.`sweep.id` != '{own_id}'"
    open_runs = _all_runs(client, experiment_id, condition)
    dead = {
        sweep_id
        for sweep_id in {run.data.tags["sweep.id"] for run in open_runs}
        if _is_dead(client, experiment_id, sweep_id)
    }
    closed = [run.info.run_id for run in open_runs if run.data.tags["sweep.id"] in dead]
    for run_id in closed:
        client.set_terminated(run_id, "KILLED")
    return closed


def _all_runs(client: Any, experiment_id: str, condition: str) -> list[Any]:
    found, token = [], None
    while True:
        page = client.search_runs([experiment_id], condition, max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _is_dead(client: Any, experiment_id: str, sweep_id: str) -> bool:
    condition = f"tags.`sweep.id` = '{sweep_id}' and tags.`sweep.role` = 'sweep'"
    runs = _all_runs(client, experiment_id, condition)
    if not runs:
        return False
    tags = runs[0].data.tags
    if tags.get("sweep.host") != _this_machine() or "sweep.folder" not in tags:
        return False
    if is_address(tags["sweep.folder"]):
        return False
    folder = SweepFolder(Path(tags["sweep.folder"]))
    # It may have been removed, and another sweep of the name have taken its place.
    is_there = folder.exists and folder.read_state().id == sweep_id
    return not is_there or not folder.is_running


def _this_machine() -> str:
    """Its name and network card: machines of one image may share the name, but not the folders."""
    return f"{socket.gethostname()} {uuid.getnode():012x}"
