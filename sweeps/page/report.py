"""What the report of a sweep says, the answer first."""

from collections import Counter
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from sweeps.answer.report import advice_on, answer_lines, cost_line, trial_cells
from sweeps.figures.found import Found, read_found
from sweeps.mirror import remove
from sweeps.page.card import card_table
from sweeps.page.page import Page
from sweeps.page.pictures import FOLDER_NAME, SECTIONS
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder, write_atomically

FILE_NAME = "report.html"
_MOST_FAILURES = 5


def write_report(folder: SweepFolder, sweep: Sweep) -> Path:
    """Write ``report.html`` into the sweep's folder, running or not; returns the file.

    Pictures of an earlier state go.

    Raises:
        OSError: If it cannot be written; an older one stays.
    """
    file = folder.path / FILE_NAME
    write_atomically(file, report_html(read_found(folder, sweep)))
    remove(folder.path / FOLDER_NAME)
    return file


def report_html(found: Found) -> str:
    """The whole page."""
    page = Page(f"Sweep {found.result.name}")
    _answer(page, found)
    _pictures(page, found)
    page.heading("Model card")
    card_table(page, found)
    _trials(page, found)
    _reproduce(page, found)
    return page.html()


def _answer(page: Page, found: Found) -> None:
    result = found.result
    page.parts.append(f"<h1>{escape(page.title)}</h1>")
    began = datetime.fromtimestamp(result.state.started_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    counts = Counter(row.record.status.replace("_", " ") for row in result.rows)
    trials = ", ".join(f"{number} {status}" for status, number in counts.most_common())
    page.paragraphs(
        f"{result.objective.metric} ({'higher' if found.maximize else 'lower'} is better) on "
        f"{found.data_name}; begun {began}; {len(result.rows)} trials: {trials}; "
        f"{result.state.status}.",
        kind="soft",
    )
    if result.winner is None:
        page.paragraphs("No trial has completed yet.", kind="answer")
        return
    name, first, *rest = (line.strip() for line in answer_lines(result))
    page.paragraphs(f"{name.removeprefix('Best: ')}: {first}", kind="answer")
    page.paragraphs(*rest, cost_line(result))
    advice = advice_on(result, found.sweep)
    if advice:
        page.heading("What to try next")
        page.paragraphs(*(one.text for one in advice))


def _pictures(page: Page, found: Found) -> None:
    for heading, makers in SECTIONS.items():
        figures = [figure for make in makers if (figure := make(found)) is not None]
        if figures:
            page.heading(heading)
            for figure in figures:
                page.figure(figure)
    told = [row.record for row in found.result.rows if row.record.error]
    for record in told[:_MOST_FAILURES]:
        page.code(record.error or "", summary=f"{record.name}: {record.status}")


def _trials(page: Page, found: Found) -> None:
    page.heading("All trials")
    header, rows = trial_cells(found.result)
    page.table(header, rows, summary=f"{len(rows)} trials")


def _reproduce(page: Page, found: Found) -> None:
    page.heading("Reproduce it")
    name, winner = found.result.name, found.result.winner
    commands = [f"python -m sweeps run resolved.yaml    # in the sweep's folder, {name}"]
    if winner is not None:
        commands.append(f"python -m sweeps best {name}           # writes best.yaml")
        commands.append("python -m sweeps train best.yaml")
    page.code("\n".join(commands))
    for file in ("sweep.yaml", "resolved.yaml", "environment.json"):
        path = found.folder.path / file
        if path.exists():
            page.code(path.read_text(), summary=file)
    if winner is not None:
        recipe = found.folder.trial_folder(winner.record) / "recipe.yaml"
        page.code(recipe.read_text(), summary=f"the winner's recipe, {winner.record.name}")
