"""The command line. A command parses, calls one function, prints.

Neither torch nor ray nor mlflow is imported at module level: ``--help``, ``validate``, ``status``
and ``best`` answer at once. Data goes to stdout, everything else to stderr.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from resnet_core.credentials import Discreet
from sweeps import cli_life, cli_look, cli_pack, cli_report, cli_submit
from sweeps.cli_options import (
    INTERRUPTED,
    INVALID,
    NONE_FINISHED,
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

app = typer.Typer(
    help="Hyper-parameter sweeps for ResNet image classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def validate(
    file: SweepFile,
    sets: Sets = None,
    profile: ProfileOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check a sweep file and everything it could ask for, without starting anything."""
    with errors_to_status():
        sweep = read_sweep(file, sets, profile)
    spec = sweep.spec
    if output is Output.JSON:
        as_json(sweep.resolved())
        return
    typer.echo(f"{file}: valid")
    trials = "as many trials as its budget allows"
    if sweep.num_trials is not None:
        trials = f"{sweep.num_trials} trials"
    typer.echo(f"{spec.name}: {trials} over {', '.join(spec.space)}")


@app.command()
def plan(
    file: SweepFile,
    sets: Sets = None,
    profile: ProfileOption = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Train a few steps here, to tell the hours.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say what a sweep will take, without starting it."""
    with errors_to_status():
        sweep = read_sweep(file, sets, profile)
        from sweeps.planning.calibrate import CannotCalibrate
        from sweeps.planning.plan import plan_sweep
        from sweeps.planning.text import plan_lines

        try:
            made = plan_sweep(
                sweep, calibrate=calibrate, on_progress=lambda text: typer.echo(text, err=True)
            )
        except CannotCalibrate as error:
            leave(REFUSED, f"hours cannot be told: {error}")
        except (ImportError, OSError) as error:  # of the data to calibrate with
            leave(INVALID, str(error))
    if output is Output.JSON:
        as_json(made.to_dict())
        return
    typer.echo("\n".join(plan_lines(made)))


# In this order they stand in --help, after `validate`.
app.registered_commands.extend(cli_submit.app.registered_commands)
app.registered_commands.extend(cli_life.app.registered_commands)
app.registered_commands.extend(cli_look.app.registered_commands)
app.registered_commands.extend(cli_report.app.registered_commands)
app.registered_commands.extend(cli_pack.app.registered_commands)


@app.command()
def doctor(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A sweep file; default: what a sweep has anyway."),
    ] = None,
    sets: Sets = None,
    profile: ProfileOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Look whether sweeps can run here, and say what to do where they cannot."""
    from sweeps.doctor.doctor import examine
    from sweeps.doctor.finding import State

    with errors_to_status():
        if (sets or profile) and file is None:
            leave(INVALID, "--set and --profile change a sweep file: name one")
        findings = []
        for finding in examine(read_sweep(file, sets, profile) if file else None):
            findings.append(finding)
            if output is Output.TABLE:
                typer.echo(finding)
    problems = [one.check for one in findings if one.state is State.PROBLEM]
    if output is Output.JSON:
        as_json({"problems": len(problems), "checks": [asdict(one) for one in findings]})
    if problems:
        leave(REFUSED, f"to put right before a sweep: {', '.join(problems)}")


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
    from resnet_core.data.loader import lost_a_loader
    from sweeps.train_alone import train_alone

    again = "run it again to go on" if checkpoints else "nothing was saved"
    with errors_to_status():
        try:
            train_alone(recipe, sets or [], checkpoints, as_json=output is Output.JSON)
        except NonFiniteLoss as error:
            leave(NONE_FINISHED, str(error))
        except (ImportError, OSError) as error:  # of data, pretrained weights or a checkpoint
            leave(INVALID, str(error))
        except RuntimeError as error:
            if not lost_a_loader(error):
                raise
            leave(NONE_FINISHED, f"{error}; {again}")
        except KeyboardInterrupt:
            leave(INTERRUPTED, f"interrupted; {again}")


@app.command()
def ui(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of one sweep; default: all.")
    ] = None,
    port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = 5000,
    uri: Annotated[
        str | None, typer.Option(help="Of the tracking store; default: ./mlflow.db.")
    ] = None,
) -> None:
    """Serve the MLflow dashboard on 127.0.0.1 until Ctrl-C; prints where each sweep is seen."""
    from sweeps.dashboard import serve_dashboard

    with errors_to_status():
        try:
            status = serve_dashboard(uri, port, name)
        except ValueError as error:
            leave(INVALID, str(error))
        except OSError as error:
            leave(REFUSED, str(error))
        raise typer.Exit(status)


def main() -> None:
    """Entry point of ``sweeps`` and ``python -m sweeps``.

    Whatever is said from here on, by us, a library or a traceback, goes through one place that
    takes out secrets.
    """
    sys.stdout, sys.stderr = Discreet(sys.stdout), Discreet(sys.stderr)
    app()
