"""The one way to MLflow's client: neither hasty nor endless, quiet, careful with a database."""

import os
import sqlite3
from typing import Any

from sweeps.tracking.asked_once import RETRIES
from sweeps.tracking.store import opening

# MLflow's own defaults wait minutes for a server that is away; what is not sent is sent later.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", RETRIES: "1"}
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "WARNING"}
"""Environment for every process that imports MLflow."""


def prepare_environment() -> None:
    """Set what MLflow reads from the environment when it is imported, unless the user has."""
    for name, value in (_PATIENCE | QUIET).items():
        os.environ.setdefault(name, value)


def connect(uri: str) -> Any:
    """MLflow's client of a store; a database that is not there yet is created, under a lock.

    Raises:
        MlflowException: If the store is none.
        OSError: If the database cannot be opened.
    """
    prepare_environment()
    from mlflow import MlflowClient

    try:
        with opening(uri):
            return MlflowClient(uri)
    except sqlite3.Error as error:
        raise OSError(f"the database cannot be opened: {error}") from error
