"""What the commands share: arguments, options, exit statuses, errors turned into messages."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from resnet_core.problems import CannotTrain, InvalidFile
from sweeps.answer.report import answer, trials_table
from sweeps.answer.results import SweepResult
from sweeps.driver_lock import NoLocks
from sweeps.home import storage_root
from sweeps.loading import load_sweep
from sweeps.names import InvalidName
from sweeps.object_store import BadAddress, StoreFailed
from sweeps.profile import load_profile
from sweeps.spec import Sweep
from sweeps.storage import SweepBusy, SweepFolder, SweepNotFound, TrialNotFound

DONE, INTERNAL, INVALID, REFUSED, NONE_FINISHED, TOO_MANY_FAILED, NOT_FOUND = range(7)
INTERRUPTED = 130

PIPE_WIDTH = 250


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"


SweepFile = Annotated[Path, typer.Argument(metavar="FILE", help="The sweep file (YAML).")]
SweepName = Annotated[str, typer.Argument(metavar="NAME", help="The sweep's name.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=V", help="Change one value of the file; may be repeated."),
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Where it runs: configs/profiles/NAME.yaml."),
]
OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How data is printed.")]
Storage = Annotated[
    str | None, typer.Option(metavar="DIR", help="Where the sweeps lie; default: ./results.")
]
Verbose = Annotated[bool, typer.Option("-v", help="Ray's and MLflow's own log as well.")]


def leave(status: int, message: str) -> NoReturn:
    """Say why on stderr, and end with this status."""
    typer.echo(message, err=True)
    raise typer.Exit(status)


@contextmanager
def errors_to_status() -> Iterator[None]:
    """Turn the errors a user can cause into one message and the contract's exit status."""
    from sweeps.changes import NothingToDo

    try:
        yield
    except (InvalidFile, InvalidName, CannotTrain, BadAddress) as error:
        leave(INVALID, str(error))
    except (SweepNotFound, TrialNotFound) as error:
        leave(NOT_FOUND, str(error))
    except (SweepBusy, NoLocks, NothingToDo, StoreFailed) as error:
        leave(REFUSED, str(error))


def read_sweep(file: Path, sets: list[str] | None, profile: str | None) -> Sweep:
    """A sweep file, with what the profile says before it and the ``sets`` before both."""
    of_profile = load_profile(profile, file).sets() if profile else []
    return load_sweep(file, [*of_profile, *(sets or [])])


def open_sweep(name: str, storage: str | None) -> tuple[Sweep, SweepFolder]:
    """A sweep that was begun, and its folder."""
    folder = SweepFolder.find(storage_root(storage), name)
    return load_sweep(folder.sweep_file), folder


def stderr() -> Console:
    """Where everything goes that is no data."""
    return Console(stderr=True)


def print_result(result: SweepResult, folder: SweepFolder, sweep: Sweep, output: Output) -> None:
    """Table and answer, or everything as JSON."""
    if output is Output.JSON:
        as_json(result.to_dict())
        return
    print_table(result)
    typer.echo(answer(result, folder, sweep))


def print_table(result: SweepResult) -> None:
    """The trials, one a row."""
    data_console().print(trials_table(result))


def data_console() -> Console:
    """Where tables go: stdout."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)  # one line a row


def as_json(data: Any) -> None:
    """Print data on stdout as one line of JSON."""
    typer.echo(json.dumps(_finite(data), allow_nan=False))


def _finite(data: Any) -> Any:
    """The data with null for NaN and infinity, which JSON does not have."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
