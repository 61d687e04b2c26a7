"""Results of benchmarks as JSON files, each with the machine and the command it comes from."""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.alone import REPOSITORY
from benchmarks.machine import describe_machine

FOLDER = REPOSITORY / ".bench"
"""Of the results; ignored by git. What is published is docs/performance.md."""
SHORT = "_short"
"""Ends the name of a result that was cut short, which takes no whole one's place."""


def write_result(
    name: str, found: dict[str, Any], *, versions: dict[str, str], folder: Path | None = None
) -> dict[str, Any]:
    """Write ``name``.json.

    Args:
        name: Of the benchmark.
        found: What it has measured.
        versions: Of the peers it has measured.
        folder: Where to; None is `FOLDER`.

    Returns:
        What was written: ``found`` with ``machine``, ``versions`` and ``command``.
    """
    folder = folder or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    command = ["python -m", sys.modules["__main__"].__spec__.name, *sys.argv[1:]]  # pyright: ignore[reportOptionalMemberAccess]
    result = {
        "machine": describe_machine(), "versions": versions, "command": " ".join(command), **found
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def read_result(name: str, folder: Path | None = None) -> dict[str, Any] | None:
    """What was written last under this name; None if nothing was."""
    file = (folder or FOLDER) / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None
