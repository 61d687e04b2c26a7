"""The commands that put a sweep's answer into a file: report, card."""

from typing import Annotated

import typer

from sweeps.cli_options import (
    NOT_FOUND,
    Output,
    OutputOption,
    Storage,
    SweepName,
    as_json,
    errors_to_status,
    leave,
    open_sweep,
)
from sweeps.home import storage_root
from sweeps.mirror import place_of
from sweeps.storage import all_sweeps

app = typer.Typer()


@app.command()
def report(name: SweepName, storage: Storage = None) -> None:
    """Write report.html, one file that needs no network, and its figures as PNG; attach them."""
    from sweeps.figures.found import read_found
    from sweeps.page.pictures import NoBrowser, write_pictures
    from sweeps.page.report import write_report

    with errors_to_status():
        sweep, folder = open_sweep(name, storage)
        typer.echo(folder.hand_out(write_report(folder, sweep)))
    try:
        typer.echo(place_of(write_pictures(read_found(folder, sweep))))
    except NoBrowser as error:
        typer.echo(error, err=True)
    from sweeps.tracking.report_files import attach

    typer.echo(attach(sweep, folder), err=True)


@app.command()
def card(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Sweeps; default: all.")
    ] = None,
    storage: Storage = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the model card's table with what was measured here, as Markdown."""
    from sweeps.figures.found import read_found
    from sweeps.page.card import card_markdown, card_rows

    founds = []
    with errors_to_status():
        root = storage_root(storage)
        for name in names or [folder.name for folder in all_sweeps(root)]:
            sweep, folder = open_sweep(name, storage)
            founds.append(read_found(folder, sweep))
    rows = card_rows(founds)
    if output is Output.JSON:
        as_json([row.to_dict() for row in rows])
    elif rows:
        typer.echo(card_markdown(rows))
    else:
        leave(NOT_FOUND, f"nothing has completed in {place_of(root)}")
