"""Where sweeps lie: what is said, and what holds if nothing is."""

import os
from pathlib import Path

from sweeps import mirror
from sweeps.object_store import is_address


def home() -> Path:
    """The folder that holds ``results/``, ``mlflow.db`` and ``mlartifacts/`` unless told otherwise.

    ``$SWEEPS_HOME`` if set; else the current folder. Inside a `ray job submit --working-dir`,
    whose current folder is a copy that Ray deletes, it is ``~/resnet-sweeps``.
    """
    if value := os.environ.get("SWEEPS_HOME"):
        return Path(value).expanduser().resolve()
    return Path.home() / "resnet-sweeps" if _is_copy(Path.cwd()) else Path.cwd()


def _is_copy(folder: Path) -> bool:
    """Whether it is the working directory of a job, which Ray deletes."""
    return "_ray_pkg_" in folder.name and "runtime_resources" in folder.parts


def storage_root(path: str | None) -> Path:
    """The folder of all sweeps: as given, else ``results`` in `home`.

    What is given begins at the current folder, or at `home` if that is a copy that Ray deletes. Of
    an address it is a copy of its own, empty yet.

    Raises:
        BadAddress: If it is an address, and of no object store.
    """
    if path is None:
        return home() / "results"
    if is_address(path):
        return mirror.opened(path)
    base = home() if _is_copy(Path.cwd()) else Path.cwd()
    return (base / Path(path).expanduser()).resolve()
