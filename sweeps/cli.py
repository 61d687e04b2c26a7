"""The command line. A command parses, calls one function, prints.

Neither torch nor ray nor mlflow is imported at module level: ``--help``, ``validate``, ``status``
and ``best`` answer at once. Data goes to stdout, everything else to stderr.
"""

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from resnet_core.problems import CannotTrain
from resnet_core.yaml_source import InvalidFile
from sweeps.display import display_for
from sweeps.report import answer, trials_table
from sweeps.results import SweepResult, read_result
from sweeps.spec import Sweep, load_sweep
from sweeps.storage import SweepBusy, SweepFolder, SweepNotFound, storage_root

DONE, INTERNAL, INVALID, REFUSED, NONE_FINISHED, TOO_MANY_FAILED, NOT_FOUND = range(7)
INTERRUPTED = 130

PIPE_WIDTH = 250

app = typer.Typer(
    help="Hyper-parameter sweeps for ResNet image classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How data is printed.")]
Storage = Annotated[
    str | None, typer.Option(metavar="DIR", help="Where the sweeps lie; default: ./results.")
]


def _stderr() -> Console:
    return Console(stderr=True)


def _leave(status: int, message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(status)


@contextmanager
def _errors_to_status() -> Iterator[None]:
    """Turn the errors a user can cause into one message and the contract's exit status."""
    try:
        yield
    except (InvalidFile, CannotTrain) as error:
        _leave(INVALID, str(error))
    except SweepNotFound as error:
        _leave(NOT_FOUND, str(error))
    except SweepBusy as error:
        _leave(REFUSED, str(error))


def _open(name: str, storage: str | None) -> tuple[Sweep, SweepFolder]:
    folder = SweepFolder.find(storage_root(storage), name)
    return load_sweep(folder.sweep_file), folder


@app.command()
def validate(file: SweepFile, sets: Sets = None, output: OutputOption = Output.TABLE) -> None:
    """Check a sweep file and everything it could ask for, without starting anything."""
    with _errors_to_status():
        sweep = load_sweep(file, sets or [])
    spec = sweep.spec
    if output is Output.JSON:
        typer.echo(json.dumps(sweep.resolved()))
        return
    typer.echo(f"{file}: valid")
    typer.echo(
        f"{spec.name}: {spec.search.trials} trials over {', '.join(spec.space) or 'nothing'}"
    )


@app.command()
def run(
    file: SweepFile,
    sets: Sets = None,
    output: OutputOption = Output.TABLE,
    verbose: Annotated[
        bool, typer.Option("-v", help="Ray's and MLflow's own log as well.")
    ] = False,
) -> None:
    """Run a sweep; run the same file again to go on with it."""
    with _errors_to_status():
        sweep = load_sweep(file, sets or [])
        folder = SweepFolder(storage_root(sweep.spec.storage.path) / sweep.spec.name)
        if folder.exists and (changes := sweep.changes_from(folder.sweep_file.read_text())):
            _leave(
                REFUSED,
                f"{folder.path} holds another sweep of this name:\n{changes}\n"
                f"give this one a name of its own (--set name=...) or remove that folder",
            )
        _run(sweep, folder, output, verbose)


@app.command()
def resume(
    name: SweepName,
    storage: Storage = None,
    output: OutputOption = Output.TABLE,
    verbose: Annotated[
        bool, typer.Option("-v", help="Ray's and MLflow's own log as well.")
    ] = False,
) -> None:
    """Go on with a sweep that was interrupted."""
    with _errors_to_status():
        _run(*_open(name, storage), output, verbose)


def _run(sweep: Sweep, folder: SweepFolder, output: Output, verbose: bool) -> NoReturn:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(name)s: %(message)s",
    )
    if verbose:
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "INFO")
    from sweeps import launch

    display = display_for(_stderr())
    elsewhere = (
        f" --storage {folder.path.parent}" if folder.path.parent != storage_root(None) else ""
    )
    go_on = f"interrupted; go on with: python -m sweeps resume {folder.name}{elsewhere}"
    with folder.locked():
        launch.begin(folder, sweep)
        try:
            # Ray prints what its daemons complain of; stdout belongs to the answer.
            with (
                (folder.path / "ray.log").open("a") as log,
                redirect_stdout(sys.stderr if verbose else log),
            ):
                result = launch.run(sweep, folder, display)
        except launch.Refused as error:
            if not folder.read_records():  # nothing has begun, so nothing stays behind
                shutil.rmtree(folder.path)
            _leave(REFUSED, str(error))
        except KeyboardInterrupt:  # while Ray was starting or ending
            _leave(INTERRUPTED, go_on)
    _print_result(result, folder, output)
    if result.state.status == "interrupted":
        _leave(INTERRUPTED, go_on)
    failed = [row for row in result.rows if row.record.status == "failed"]
    if failed and failed[0].record.error:
        typer.echo(f"{failed[0].record.name} failed:\n{failed[0].record.error}", err=True)
    if result.best is None:
        _leave(NONE_FINISHED, "no trial finished")
    if 2 * len(failed) > len(result.rows):
        _leave(TOO_MANY_FAILED, f"{len(failed)} of {len(result.rows)} trials failed")
    raise typer.Exit(DONE)


def _print_result(result: SweepResult, folder: SweepFolder, output: Output) -> None:
    if output is Output.JSON:
        typer.echo(json.dumps(result.to_dict()))
        return
    _print_table(result)
    typer.echo(answer(result, folder))


def _print_table(result: SweepResult) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)  # a pipe has no width: one line per trial
    console.print(trials_table(result))


@app.command()
def status(name: SweepName, storage: Storage = None, output: OutputOption = Output.TABLE) -> None:
    """Show every trial of a sweep, running or not."""
    with _errors_to_status():
        sweep, folder = _open(name, storage)
    result = read_result(folder, sweep)
    running = folder.is_running
    if output is Output.JSON:
        typer.echo(json.dumps({**result.to_dict(), "running": running}))
        return
    _print_table(result)
    state = "running" if running else result.state.status
    if state == "running" and not running:
        state = "interrupted"
    typer.echo(f"{name} is {state}; cost so far {result.cost:.2f} {result.cost_unit}")


@app.command()
def best(name: SweepName, storage: Storage = None, output: OutputOption = Output.TABLE) -> None:
    """Say what won, by how much over the recipe, at what cost."""
    with _errors_to_status():
        sweep, folder = _open(name, storage)
    result = read_result(folder, sweep)
    if result.best is None:
        _leave(NONE_FINISHED, f"no trial of {name} has completed")
    if output is Output.TABLE:
        typer.echo(answer(result, folder))
        return
    trial_folder = folder.trial_folder(result.best.record)
    everything = result.to_dict()
    chosen: dict[str, Any] = {key: everything[key] for key in everything if key != "trials"}
    chosen["trial"] = result.best.to_dict()
    chosen["recipe"] = str(trial_folder / "recipe.yaml")
    typer.echo(json.dumps(chosen))


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe file (YAML).")],
    sets: Sets = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Save each epoch there, and go on from the newest."),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Train one recipe, without Ray and without MLflow."""
    from resnet_core import NonFiniteLoss
    from sweeps.train_alone import train_alone

    with _errors_to_status():
        try:
            train_alone(recipe, sets or [], checkpoints, as_json=output is Output.JSON)
        except NonFiniteLoss as error:
            _leave(NONE_FINISHED, str(error))
        except (ImportError, OSError) as error:  # of data, pretrained weights or a checkpoint
            _leave(INVALID, str(error))
        except KeyboardInterrupt:
            again = "run it again to go on" if checkpoints else "nothing was saved"
            _leave(INTERRUPTED, f"interrupted; {again}")


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = 5000,
    uri: Annotated[
        str | None, typer.Option(help="Of the tracking database; default: ./mlflow.db.")
    ] = None,
) -> None:
    """Serve the MLflow dashboard on 127.0.0.1 until Ctrl-C."""
    from sweeps.dashboard import serve_dashboard

    with _errors_to_status():
        try:
            status = serve_dashboard(uri, port)
        except ValueError as error:
            _leave(INVALID, str(error))
        raise typer.Exit(status)


def main() -> None:
    """Entry point of ``sweeps`` and ``python -m sweeps``."""
    app()
