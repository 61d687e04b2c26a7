"""Whether a tracking store takes what a sweep sends: it is tried out, and nothing of it stays."""

import os
import secrets
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from resnet_core.credentials import without_credentials
from sweeps.tracking.asked_once import RETRIES
from sweeps.tracking.connect import connect
from sweeps.tracking.store import database_of

_TIMEOUT_SECONDS = "10"
_LOCK_SECONDS = 5.0
_FIXES = {
    401: "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    403: "let this user create experiments and models, or have the server allow this host name "
    "(mlflow server --allowed-hosts)",
    404: "look whether the address is that of an MLflow server, without a path behind it",
    500: "look into the server's log; a sweep sends later what it does not take now",
}
_AWAY = "start the server, or correct tracking.uri or MLFLOW_TRACKING_URI"


class NotWritable(OSError):
    """The store does not take what a sweep sends.

    Attributes:
        fix: What to do about it.
    """

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def try_store(uri: str, experiment: str | None) -> str:
    """Write to the store and take it back; returns what it is.

    Args:
        uri: Of the store, as `tracking_uri` gives it.
        experiment: Whose runs a sweep will write; None: any.

    Raises:
        NotWritable: Says why, and what to do.
    """
    # Said now, not after the minutes that a sweep would wait for it.
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = _TIMEOUT_SECONDS
    os.environ[RETRIES] = "0"
    database = database_of(uri)
    if database is not None:
        _try_database(database)
        if not database.exists():
            return f"{database}: made by the first sweep, in a folder that takes and locks it"
    _try_mlflow(uri, experiment)
    return f"{without_credentials(uri)}: reachable and writable"


def _try_mlflow(uri: str, experiment: str | None) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client = connect(uri)
        known = client.get_experiment_by_name(experiment or "Default")
        if experiment is not None and known is not None:
            client.set_experiment_tag(known.experiment_id, "sweeps.doctor", "")
            client.delete_experiment_tag(known.experiment_id, "sweeps.doctor")
        name = f"sweeps-doctor-{secrets.token_hex(6)}"  # models are deleted for good, runs are not
        client.create_registered_model(name)
        client.delete_registered_model(name)
    except (MlflowException, OSError) as error:
        text = without_credentials(next(iter(str(error).splitlines()), ""))
        raise NotWritable(f"{without_credentials(uri)}: {text}", _fix_of(error)) from error


def _fix_of(error: Exception) -> str:
    import requests
    from mlflow.exceptions import MlflowException

    # MLflow wraps what requests raises when nothing answers.
    away = (requests.ConnectionError, requests.Timeout)
    if not isinstance(error, MlflowException) or isinstance(error.__context__, away):
        return _AWAY
    status = error.get_http_status_code()
    return _FIXES.get(status, _FIXES[500])


def _try_database(database: Path) -> None:
    """Try a database of our own beside it, and the lock of the one that is there."""
    folder = next(one for one in database.parents if one.exists())
    local = "put tracking.uri (or SWEEPS_HOME) on a disk of this machine, or use an MLflow server"
    try:
        _try_new_database(folder, local)
        if database.exists():
            with closing(sqlite3.connect(database, timeout=_LOCK_SECONDS)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise NotWritable(
                f"{database}: another process holds its lock for more than {_LOCK_SECONDS:.0f} s",
                "end that process (fuser names it); several sweeps at a time want an MLflow server",
            ) from error
        raise NotWritable(f"{database}: {error}", local) from error
    except sqlite3.Error as error:
        fix = "move the file away, and run `sweeps resume NAME` for each sweep to fill a new one"
        raise NotWritable(f"{database}: {error}", fix) from error
    except NotWritable:
        raise
    except OSError as error:
        raise NotWritable(f"{folder} cannot be written: {error.strerror}", local) from error


def _try_new_database(folder: Path, fix: str) -> None:
    with (
        tempfile.TemporaryDirectory(prefix=".sweeps-doctor-", dir=folder) as probe,
        closing(sqlite3.connect(Path(probe) / "mlflow.db")) as connection,
    ):
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise NotWritable(f"{folder} keeps no write-ahead log ({mode})", fix)
        connection.execute("CREATE TABLE probe (value)")
        connection.commit()
