"""Tables and origins of figures as Markdown."""

from collections.abc import Sequence
from typing import Any

from benchmarks.machine import machine_line


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [header, [":--", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def origin(result: dict[str, Any]) -> str:
    """Command, date, hardware and versions of a result, in one paragraph."""
    versions = "".join(f", {name} {text}" for name, text in result["versions"].items())
    # The machine is described when the result is written.
    before, _, load = machine_line(result["machine"]).partition("; load average before it began ")
    return f"`{result['command']}`: {before}{versions}; load average as it ended {load}."
