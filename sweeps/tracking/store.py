"""Where MLflow keeps the runs, and how a database is opened; MLflow is imported to make one."""

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sweeps.home import home
from sweeps.space.domains import canonical
from sweeps.space.labels import short_value

_SQLITE = "sqlite:///"


def tracking_uri(uri: str | None) -> str:
    """As the sweep file says, else ``$MLFLOW_TRACKING_URI``, else ``mlflow.db`` in `home`.

    A database is named by its absolute path: the server's current folder may be another one.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{home() / 'mlflow.db'}"
    return f"{_SQLITE}{path.resolve()}" if (path := database_of(uri)) is not None else uri


def database_of(uri: str) -> Path | None:
    """The file of a database, None of any other store."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where an experiment's artifacts go: beside a database, by absolute path; None: as the server
    says."""
    database = database_of(uri)
    if database is None:
        return None
    # The name may hold anything, slashes too; runs have their own folders, so two names may meet.
    folder = re.sub(r"[^\w-]", "_", experiment)
    return (database.parent.resolve() / "mlartifacts" / folder).as_uri()


@contextmanager
def opening(uri: str) -> Iterator[None]:
    """Let one process at a time open a database: two that create it at once break it for good.

    The database keeps a write-ahead log, so that the dashboard reads while a driver writes.
    """
    database = database_of(uri)
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(database.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # of the folder itself, so that nothing is left behind
        if not database.exists():
            _create(database)
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # is kept in the file
        yield
    finally:
        os.close(handle)


def _create(database: Path) -> None:
    """Make the tables in a file of another name first: a process that is killed meanwhile would
    leave a database that MLflow cannot open, nor mend.

    Raises:
        OSError: If it cannot be written; nothing half-made stays behind.
    """
    from mlflow.store.db.utils import _initialize_tables
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    unfinished = database.with_name(f".{database.name}.unfinished")
    left = (unfinished, Path(f"{unfinished}-journal"))
    for file in left:
        file.unlink(missing_ok=True)
    engine = create_engine(f"{_SQLITE}{unfinished}")
    try:
        _initialize_tables(engine)
        engine.dispose()
        unfinished.rename(database)
    except SQLAlchemyError as error:
        why = str(error).splitlines()[0]
        raise OSError(f"the database {database} cannot be made: {why}") from error
    finally:
        engine.dispose()
        for file in left:
            file.unlink(missing_ok=True)


def param_key(key: str) -> str:
    """A recipe path as MLflow takes it for a parameter's name."""
    return re.sub(r"[^\w\-. /:]", "_", key)


def param_value(value: Any) -> str:
    """One text per value: 0.1 and 0.10 are the same number, and MLflow refuses a changed param."""
    if isinstance(value, dict):
        return short_value(value)
    return value if isinstance(value, str) else canonical(value)
