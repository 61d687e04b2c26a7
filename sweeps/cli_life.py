"""The commands that run a sweep, go on with it, or change it: run, resume, extend, retry, ..."""

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Annotated, Any, NoReturn

import typer

from resnet_core.credentials import Discreet
from sweeps import cancel as cancel_requests
from sweeps import gpu_sharing
from sweeps.answer.report import in_brief
from sweeps.answer.results import SweepResult
from sweeps.cli_options import (
    DONE,
    INTERRUPTED,
    INVALID,
    NONE_FINISHED,
    REFUSED,
    TOO_MANY_FAILED,
    Output,
    OutputOption,
    ProfileOption,
    Sets,
    Storage,
    SweepFile,
    SweepName,
    Verbose,
    errors_to_status,
    leave,
    open_sweep,
    print_result,
    read_sweep,
    stderr,
)
from sweeps.cli_sharing import with_shares
from sweeps.cli_submit import Address, cancel_job
from sweeps.display import display_for
from sweeps.failures import OF_THE_MACHINE, last_line
from sweeps.home import storage_root
from sweeps.mirror import place_of, publish
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder
from sweeps.webhook import announcing

app = typer.Typer()


@app.command()
def run(
    file: SweepFile,
    sets: Sets = None,
    profile: ProfileOption = None,
    output: OutputOption = Output.TABLE,
    verbose: Verbose = False,
) -> None:
    """Run a sweep; run the same file again to go on with it."""
    with errors_to_status():
        sweep = read_sweep(file, sets, profile)
        folder = SweepFolder(storage_root(sweep.spec.storage.path) / sweep.spec.name)
        folder.refresh()
        sweep, rates = with_shares(sweep, folder)
        if folder.exists and (changes := sweep.changes_from(folder.sweep_file.read_text())):
            leave(
                REFUSED,
                f"{folder.place} holds another sweep of this name:\n{changes}\n"
                f"give this one a name of its own (--set name=...) or remove that folder",
            )
        if folder.holds_something_else:
            leave(
                REFUSED,
                f"{folder.place} holds something that is no sweep; give the sweep another name "
                "(--set name=...) or another storage.path",
            )
        _run(sweep, folder, output, verbose, lambda: gpu_sharing.note(folder, rates))


@app.command()
def resume(
    name: SweepName,
    storage: Storage = None,
    output: OutputOption = Output.TABLE,
    verbose: Verbose = False,
) -> None:
    """Go on with a sweep that was interrupted."""
    with errors_to_status():
        _run(*open_sweep(name, storage), output, verbose)


@app.command()
def extend(
    name: SweepName,
    trials: Annotated[int, typer.Option(metavar="+N", min=1, help="How many more.")],
    storage: Storage = None,
    output: OutputOption = Output.TABLE,
    verbose: Verbose = False,
) -> None:
    """Add trials to a sweep; the searcher knows all trials before them."""
    from sweeps.changes import extend

    with errors_to_status():
        sweep, folder = open_sweep(name, storage)
        _run(sweep, folder, output, verbose, lambda: extend(sweep, folder, trials))


@app.command()
def retry(
    name: SweepName,
    failed: Annotated[
        bool, typer.Option("--failed", help="Trials that failed; infeasible ones did not.")
    ] = False,
    storage: Storage = None,
    output: OutputOption = Output.TABLE,
    verbose: Verbose = False,
) -> None:
    """Train failed trials again, from their last checkpoint."""
    from sweeps.changes import NothingToDo, retry_failed

    with errors_to_status():
        if not failed:
            leave(INVALID, "say which trials: --failed")
        sweep, folder = open_sweep(name, storage)

        def change() -> None:
            if not retry_failed(folder):
                raise NothingToDo(f"no trial of {name} has failed")

        _run(sweep, folder, output, verbose, change)


@app.command()
def rerun(
    trial: Annotated[str, typer.Argument(metavar="SWEEP/TRIAL", help="As digits/t0007.")],
    sets: Sets = None,
    storage: Storage = None,
    output: OutputOption = Output.TABLE,
    verbose: Verbose = False,
) -> None:
    """Train a variant of a trial, as a new trial of its sweep."""
    from sweeps.changes import rerun

    with errors_to_status():
        name, _, trial_id = trial.rpartition("/")
        if not name or not sets:
            leave(INVALID, "write SWEEP/TRIAL --set a.b=v, as: rerun digits/t0007 --set seed=1")
        sweep, folder = open_sweep(name, storage)
        _run(sweep, folder, output, verbose, lambda: rerun(sweep, folder, trial_id, sets))


@app.command()
def confirm(
    name: SweepName,
    top_k: Annotated[int, typer.Option(min=1, help="Trials beside the recipe.")] = 2,
    seeds: Annotated[int, typer.Option(min=2, max=100, help="Fresh seeds of each.")] = 3,
    storage: Storage = None,
    output: OutputOption = Output.TABLE,
    verbose: Verbose = False,
) -> None:
    """Train the best trials and the recipe again with fresh seeds, and say who is better."""
    from sweeps.changes import confirm

    with errors_to_status():
        sweep, folder = open_sweep(name, storage)
        _run(
            sweep,
            folder,
            output,
            verbose,
            lambda: confirm(sweep, folder, top_k=top_k, seeds=seeds),
        )


@app.command()
def cancel(name: SweepName, storage: Storage = None, address: Address = None) -> None:
    """End a sweep, running or not; trials keep what they have trained, runs are closed.

    Where its storage is not reached, give the address of the cluster that it was submitted to.
    """
    with errors_to_status():
        if address is not None:
            cancel_job(name, address)
            return
        sweep, folder = open_sweep(name, storage)
        if folder.is_running:
            cancel_requests.request(folder)
            typer.echo(f"{name}: asked its driver to end; waiting", err=True)
            while folder.is_running:
                time.sleep(cancel_requests.LOOK_SECONDS)
            folder.refresh()
        else:
            from sweeps.tracking.tracker import Tracker

            with folder.locked():  # its driver was killed: close what that left open
                state = folder.read_state()
                if state.status != "finished":
                    cancel_requests.put_back_to_pending(folder)
                    folder.write_state(replace(state, status="cancelled"))
                    tracker = Tracker(sweep, folder)
                    tracker.start()
                    if not tracker.finish():
                        leave(REFUSED, f"its runs at {tracker.uri} could not all be closed")
    go_on = f"go on with: python -m sweeps resume {name}"
    typer.echo(f"{name} is {folder.read_state().status}; {go_on}", err=True)


def _run(
    sweep: Sweep,
    folder: SweepFolder,
    output: Output,
    verbose: bool,
    change: Callable[[], Any] = lambda: None,
) -> NoReturn:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(name)s: %(message)s",
    )
    if verbose:
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "INFO")
    root = folder.path.parent
    elsewhere = "" if root == storage_root(None) else f" --storage {place_of(root)}"
    go_on = f"go on with: python -m sweeps resume {folder.name}{elsewhere}"
    with announcing(lambda problem: typer.echo(problem, err=True)) as announce:
        with folder.locked():
            cancel_requests.forget_earlier(folder)
            change()
            result = _drive(sweep, folder, verbose, go_on, announce)
        announce(in_brief(result))
        print_result(result, folder, sweep, output)
        _leave_as(result, go_on)


def _drive(
    sweep: Sweep, folder: SweepFolder, verbose: bool, go_on: str, announce: Callable[[str], None]
) -> SweepResult:
    """Run the driver; if it does not come to a result, announce that and leave."""
    from sweeps import launch
    from sweeps.cluster import Refused

    display = display_for(stderr())
    launch.begin(folder, sweep)
    try:
        # Ray prints what its daemons complain of; stdout belongs to the answer.
        log_file = folder.path / "ray.log"
        with (
            log_file.open("a") as log,
            redirect_stdout(sys.stderr if verbose else Discreet(log)),
        ):
            result = launch.run(sweep, folder, display)
        publish(log_file)
        return result
    except Refused as error:
        announce(f"sweep {folder.name} refused: {error}")
        launch.undo_begin(folder)
        noted = f"\nwhat was asked for is noted; {go_on}" if folder.exists else ""
        leave(REFUSED, f"{error}{noted}")
    except KeyboardInterrupt:  # while Ray was starting or ending
        announce(f"sweep {folder.name} interrupted")
        leave(INTERRUPTED, f"interrupted; {go_on}")
    except Exception as error:
        text = next(iter(str(error).splitlines()), "")
        announce(f"sweep {folder.name} crashed: {type(error).__name__}: {text}")
        raise


def _leave_as(result: SweepResult, go_on: str) -> NoReturn:
    """The exit status that the result deserves, with the first failure said once."""
    state = result.state
    failed = [row for row in result.rows if row.record.status == "failed"]
    told = failed or [
        row
        for row in result.rows
        if row.record.status == "infeasible" and row.record.reason != "constraint"
    ]
    if told and told[0].record.error:
        record = told[0].record
        again = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
        text = record.error if record in [row.record for row in failed] else last_line(record.error)
        typer.echo(f"{record.name} {record.status}{again}:\n{text}", err=True)
    if state.status in ("interrupted", "cancelled"):
        leave(INTERRUPTED, f"{state.status}; {go_on}")
    if state.status == "stopped":
        status = NONE_FINISHED if result.best is None else TOO_MANY_FAILED
        if any(row.record.reason not in OF_THE_MACHINE for row in failed):
            go_on = f"python -m sweeps retry {result.name} --failed"
        leave(status, f"the sweep was stopped: {state.reason}\nonce that is put right: {go_on}")
    if result.best is None:
        leave(NONE_FINISHED, "no trial finished")
    if 2 * len(failed) > len(result.rows):
        leave(TOO_MANY_FAILED, f"{len(failed)} of {len(result.rows)} trials failed")
    raise typer.Exit(DONE)
