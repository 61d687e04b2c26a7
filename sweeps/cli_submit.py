"""The commands that have a Ray cluster do it: submit, and cancel with an address."""

import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from resnet_core.credentials import without_user
from sweeps.cli_options import (
    INTERNAL,
    INTERRUPTED,
    INVALID,
    NOT_FOUND,
    REFUSED,
    Output,
    OutputOption,
    ProfileOption,
    Sets,
    SweepFile,
    as_json,
    errors_to_status,
    leave,
    read_sweep,
)
from sweeps.object_store import is_address
from sweeps.profile import Profile, find_profile, load_profile
from sweeps.spec import Sweep
from sweeps.submit.parcel import GitFailed, Outside, TooLarge, inside, pack

if TYPE_CHECKING:
    from sweeps.submit.job_server import JobServer

app = typer.Typer()

_THE_CLUSTERS_STORE = "the cluster's own: its MLFLOW_TRACKING_URI, or a database there"
Address = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Of the cluster's dashboard, as http://127.0.0.1:8265."),
]


@app.command()
def submit(
    file: SweepFile,
    sets: Sets = None,
    profile: ProfileOption = None,
    address: Address = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the job's log, and end as it does.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run a sweep on a Ray cluster, as a job; submit it again to go on with it."""
    from sweeps.submit.job_server import (
        InvalidAddress,
        JobServer,
        NoJobServer,
        address_of,
        warning_of,
    )

    with errors_to_status():
        sweep = read_sweep(file, sets, profile)
        place = load_profile(profile, file) if profile else Profile(version=1)
    try:
        where = address_of(address, place.submit.address)
        command = _command(file, sets or [], profile)
        _refuse_data_left_behind(sweep)
        parcel = pack(Path.cwd(), _files_of(sweep, profile), _data_of(sweep))
    except (InvalidAddress, Outside) as error:
        leave(INVALID, str(error))
    except (TooLarge, GitFailed) as error:
        leave(REFUSED, str(error))
    name = sweep.spec.name
    if warning := warning_of(where):
        typer.echo(warning, err=True)
    try:
        server = JobServer(where)
        running = server.running(name)
        if running:
            job = running[0]
            if not follow:
                leave(REFUSED, f"{name} runs already, as job {job}; {server.how_to_follow(job)}")
        else:
            typer.echo(f"packing {parcel.in_brief()}", err=True)
            with tempfile.TemporaryDirectory(prefix="sweeps-job-") as folder:
                parcel.lay_out(Path(folder))
                job = server.submit(name, shlex.join(command), Path(folder), _variables())
    except NoJobServer as error:
        leave(REFUSED, str(error))
    told = {
        "sweep": name,
        "job": job,
        "dashboard": server.page(job),
        "mlflow": sweep.spec.tracking.uri or _variables().get("MLFLOW_TRACKING_URI"),
        "storage": sweep.spec.storage.path,
    }
    if output is Output.JSON:
        as_json(told)
    else:
        typer.echo(_as_text(told, server, job))
    if follow:
        _follow(server, job, sys.stderr if output is Output.JSON else sys.stdout)


def _command(file: Path, sets: list[str], profile: str | None) -> list[str]:
    """What the job runs, in a folder that holds what this one does."""
    command = ["python", "-m", "sweeps", "run", str(inside(Path.cwd(), file))]
    command += [part for one in sets for part in ("--set", one)]
    if profile:
        command += ["--profile", str(inside(Path.cwd(), find_profile(profile, file)))]
    return command


def _files_of(sweep: Sweep, profile: str | None) -> list[Path]:
    """What the job reads, besides its code."""
    files = [sweep.path]
    if sweep.spec.extends is not None:
        files.append(sweep.path.parent / sweep.spec.extends)
    if profile:
        files.append(find_profile(profile, sweep.path))
    return files


def _data_folders(sweep: Sweep) -> dict[str, Path]:
    """Where the recipe's data lie: path in the recipe -> folder."""
    sources = sweep.recipe_data["data"] or {}  # None: the space brings them
    return {
        f"data.{name}.{key}": Path(source[key]).expanduser()
        for name, source in sources.items()
        if isinstance(source, dict)
        for key in ("root", "path")
        if source.get(key)
    }


def _refuse_data_left_behind(sweep: Sweep) -> None:
    """A data set does not go along, so its place has to be one of the cluster's.

    Raises:
        Outside: If it is relative: to a folder that the job does not have.
    """
    for path, folder in _data_folders(sweep).items():
        if not folder.is_absolute():
            raise Outside(
                f"{path} is {str(folder)!r}, and a job runs in a folder of its own, without data; "
                f"say where they lie on the cluster: --set {path}=/shared/{folder.name}"
            )


def _data_of(sweep: Sweep) -> list[Path]:
    """Folders of the recipe's data set, the sweep's results: they are the cluster's own."""
    given = sweep.spec.storage.path
    storage = None if given is None or is_address(given) else given
    return [*_data_folders(sweep).values(), *([Path(storage).expanduser()] if storage else [])]


def _variables() -> dict[str, str]:
    """The job's environment beside the cluster's own, in which its secrets are: Ray shows these."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    is_everywhere = uri.startswith(("http://", "https://"))
    return {"MLFLOW_TRACKING_URI": without_user(uri)} if is_everywhere else {}


def _as_text(told: dict[str, Any], server: "JobServer", job: str) -> str:
    storage = f" --storage {told['storage']}" if told["storage"] else ""
    name = told["sweep"]
    return "\n".join(
        [
            f"job        {job}",
            f"dashboard  {told['dashboard']}",
            f"MLflow     {told['mlflow'] or _THE_CLUSTERS_STORE}",
            "Next:",
            f"  {server.log_command(job)}",
            f"  python -m sweeps cancel {name} --address {server.address}",
            f"  python -m sweeps status {name}{storage}    (where its storage is reached)",
        ]
    )


def _follow(server: "JobServer", job: str, log: TextIO) -> NoReturn:
    from sweeps.submit.job_server import NoJobServer

    try:
        for text in server.follow(job):
            log.write(text)
            log.flush()
        end = server.wait(job)
    except KeyboardInterrupt:
        leave(INTERRUPTED, f"the job goes on; {server.how_to_follow(job)}")
    except NoJobServer as error:
        leave(INTERNAL, f"{error}\nthe job may go on; {server.how_to_follow(job)}")
    if end.exit_status is None:
        why = f": {end.message}" if end.message else ""
        leave(INTERNAL, f"job {job} was stopped or killed{why}\nsubmit it again to go on")
    raise typer.Exit(end.exit_status)


def cancel_job(name: str, address: str) -> None:
    """End the job of a sweep: its driver closes what it has open."""
    from sweeps.submit.job_server import InvalidAddress, JobServer, NoJobServer, address_of

    try:
        server = JobServer(address_of(address))
        jobs = server.running(name)
        if not jobs:
            leave(NOT_FOUND, f"no job of a sweep {name!r} runs at {server.address}")
        for job in jobs:
            typer.echo(f"{name}: asked job {job} to end; waiting", err=True)
            server.stop(job)
    except InvalidAddress as error:
        leave(INVALID, str(error))
    except NoJobServer as error:
        leave(REFUSED, str(error))
    typer.echo(f"{name} has ended; submit it again to go on with it", err=True)
