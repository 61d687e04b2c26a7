"""The commands that only look: ls, status, best, compare."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from resnet_core.problems import InvalidFile
from sweeps.answer.compare import Comparison, compare_sweeps, compare_trials, difference
from sweeps.answer.overview import Overview, phase_of, read_overview
from sweeps.answer.report import advice_on, answer, trials_table, write_best
from sweeps.answer.results import read_result
from sweeps.cli_options import (
    INTERRUPTED,
    INVALID,
    NONE_FINISHED,
    Output,
    OutputOption,
    Storage,
    SweepName,
    as_json,
    data_console,
    errors_to_status,
    leave,
    open_sweep,
    print_table,
)
from sweeps.home import storage_root
from sweeps.loading import load_sweep
from sweeps.mirror import place_of
from sweeps.space.labels import short_value
from sweeps.storage import all_sweeps
from sweeps.watch import Look, changes, look_at, looks

app = typer.Typer()

Side = Annotated[str, typer.Argument(help="A sweep, or a trial as digits/t0007.")]


@app.command(name="ls")
def list_sweeps(storage: Storage = None, output: OutputOption = Output.TABLE) -> None:
    """List the sweeps of a storage, the newest first."""
    found: list[Overview] = []
    with errors_to_status():
        folders = all_sweeps(storage_root(storage))
    for folder in folders:
        try:
            found.append(read_overview(folder, load_sweep(folder.sweep_file)))
        except (InvalidFile, OSError, ValueError, TypeError, LookupError) as error:
            # One folder that another version wrote must not hide the others.
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            typer.echo(f"{folder.place} cannot be read: {reason}", err=True)
    found.sort(key=lambda one: one.result.state.started_at, reverse=True)
    if output is Output.JSON:
        as_json([one.to_dict() for one in found])
    elif found:
        data_console().print(_sweeps_table(found))
    else:
        typer.echo(f"no sweeps in {place_of(storage_root(storage))}", err=True)


def _sweeps_table(found: list[Overview]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for name in ("sweep", "status", "trials", "best", "winner", "gain", "cost", "started"):
        table.add_column(name, justify="right" if name in ("trials", "gain", "cost") else "left")
    for one in found:
        result, best, gain = one.result, one.result.best, one.gain
        width = "" if gain is None or not gain.half_width else f" +- {gain.half_width:.4f}"
        started = datetime.fromtimestamp(result.state.started_at).astimezone()
        table.add_row(
            escape(result.name),
            one.phase,
            f"{one.trials_ended}/{one.num_trials or 'open'}",
            "" if best is None else f"{result.objective.metric} {best.value:.4f}",
            "" if result.winner is None else _winner(result.winner.record.index),
            "" if gain is None else f"{gain.mean:+.4f}{width}",
            f"{result.cost:.2f} {result.cost_unit}",
            f"{started:%Y-%m-%d %H:%M}",
        )
    return table


def _winner(index: int) -> str:
    return f"t{index:04d}" if index else "recipe"


@app.command()
def status(
    name: SweepName,
    storage: Storage = None,
    output: OutputOption = Output.TABLE,
    watch: Annotated[
        bool, typer.Option("--watch", help="Again every 2 s, until its driver is gone.")
    ] = False,
) -> None:
    """Show every trial of a sweep, running or not, and how far tracking is behind."""
    with errors_to_status():
        sweep, folder = open_sweep(name, storage)
        if not watch:
            _print_look(look_at(folder, sweep), output)
            return
        try:
            _watch(looks(folder, sweep), output)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def _watch(seen: Iterator[Look], output: Output) -> None:
    """One panel that stays in place on a terminal; elsewhere one table, or line, a change."""
    console = Console()
    if output is Output.JSON or not console.is_terminal:
        for look in changes(seen):
            _print_look(look, output)
        return
    last = None
    with Live(console=console, auto_refresh=False, transient=True) as live:
        for last in seen:
            # Of what is longer than the screen the end is cut off, so the summary comes first.
            table = trials_table(last.result)
            live.update(Group(Text(_state_line(last)), table), refresh=True)
    assert last is not None  # there is one look at least
    _print_look(last, output)


def _print_look(look: Look, output: Output) -> None:
    if output is Output.JSON:
        as_json(look.to_dict())
        return
    print_table(look.result)
    typer.echo(_state_line(look))


def _state_line(look: Look) -> str:
    result = look.result
    return (
        f"{result.name} is {look.phase}; cost so far {result.cost:.2f} {result.cost_unit}; "
        f"tracking: {look.behind}"
    )


@app.command()
def best(name: SweepName, storage: Storage = None, output: OutputOption = Output.TABLE) -> None:
    """Say what won, by how much over the recipe, at what cost, and write its recipe file."""
    with errors_to_status():
        sweep, folder = open_sweep(name, storage)
    result = read_result(folder, sweep)
    if result.winner is None:
        leave(NONE_FINISHED, f"no trial of {name} has completed")
    recipe_file = write_best(result, folder, sweep)
    if output is Output.TABLE:
        typer.echo(answer(result, folder, sweep))
        return
    everything = {**result.to_dict(), "status": phase_of(folder)}
    chosen: dict[str, Any] = {key: everything[key] for key in everything if key != "trials"}
    chosen["trial"] = result.winner.to_dict()
    chosen["advice"] = [one.to_dict() for one in advice_on(result, sweep)]
    chosen["recipe"] = str(recipe_file)
    as_json(chosen)


@app.command()
def compare(a: Side, b: Side, storage: Storage = None, output: OutputOption = Output.TABLE) -> None:
    """Say which keys of two trials, or of two sweeps, differ, and which results."""
    with errors_to_status():
        if ("/" in a) != ("/" in b):
            leave(INVALID, "two trials (compare digits/t0000 digits/t0007), or two sweeps")
        (name_a, _, trial_a), (name_b, _, trial_b) = a.partition("/"), b.partition("/")
        first, second = open_sweep(name_a, storage), open_sweep(name_b, storage)
        if "/" in a:
            found = compare_trials((*first, trial_a), (*second, trial_b))
        else:
            found = compare_sweeps(first, second)
    if output is Output.JSON:
        as_json(found.to_dict())
        return
    _print_comparison(found)


def _print_comparison(found: Comparison) -> None:
    console = data_console()
    for title, pairs in (("key", found.keys), ("result", found.results)):
        if not pairs:
            typer.echo(f"no {title} differs")
            continue
        table = Table(box=SIMPLE_HEAD)
        for name in (title, *found.names):
            table.add_column(escape(name))
        if title == "result":
            table.add_column("difference", justify="right")
        for name, (a, b) in pairs.items():
            gap = difference(a, b)
            gaps = ["" if gap is None else f"{gap:+.5g}"] if title == "result" else []
            table.add_row(escape(name), escape(_cell(a)), escape(_cell(b)), *gaps)
        console.print(table)
    if found.kind == "trials" and "epochs" in found.results:
        typer.echo("mind: values after different numbers of epochs do not compare")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else short_value(value)
