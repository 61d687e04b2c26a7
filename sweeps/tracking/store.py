"""Where MLflow keeps the runs, and how a database of its own is opened; imports no MLflow."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweeps.space.domains import canonical
from sweeps.space.labels import short_value
from sweeps.storage import home


def tracking_uri(uri: str | None) -> str:
    """As the sweep file says, else ``$MLFLOW_TRACKING_URI``, else ``mlflow.db`` in `home`."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where an experiment's artifacts go: beside a database, by absolute path; None: as the server
    says."""
    if not uri.startswith("sqlite:///"):
        return None
    root = Path(uri.removeprefix("sqlite:///")).parent.resolve() / "mlartifacts"
    return f"{root.as_uri()}/{experiment}"


@contextmanager
def opening(uri: str) -> Iterator[None]:
    """Let one process at a time open a database: two that create it at once break it for good."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    folder = Path(uri.removeprefix("sqlite:///")).parent
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # of the folder itself, so that nothing is left behind
        yield
    finally:
        os.close(handle)


def param_key(key: str) -> str:
    """A recipe path as MLflow takes it for a parameter's name."""
    return re.sub(r"[^\w\-. /:]", "_", key)


def param_value(value: Any) -> str:
    """One text per value: 0.1 and 0.10 are the same number, and MLflow refuses a changed param."""
    if isinstance(value, dict):
        return short_value(value)
    return value if isinstance(value, str) else canonical(value)
