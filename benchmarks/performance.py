"""docs/performance.md, from the results that the benchmarks have left in `.bench`.

Each benchmark writes ``.bench/NAME.json`` with machine, versions and command; this module says in
which order they stand and which were not run. ``make bench`` runs those of the CPU and then this
one, ``make bench-gpu`` those of the GPU. Parts of earlier days, also of other machines, stay until
they are measured again; each names its own date and hardware. What was cut short stands only where
nothing whole does.
"""

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import (
    defaults,
    feed_page,
    gpu_page,
    grouped,
    loop_growth,
    loop_page,
    packed_accuracy,
    sweep_page,
)
from benchmarks.alone import REPOSITORY
from benchmarks.results import SHORT, read_result

DOCS = REPOSITORY / "docs"
PARTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "loop": loop_page.section,
    "defaults": defaults.section,
    "feed": feed_page.section,
    "packed_accuracy": packed_accuracy.section,
    **{
        f"sweep_{name}": partial(sweep_page.section, part)
        for part, name in sweep_page.PARTS.items()
    },
    "grouped": grouped.section,
    "gpu": gpu_page.section,
}
"""Name of a result -> its text."""
PICTURES: dict[str, Callable[[dict[str, Any], Path], None]] = {"loop": loop_growth.picture}
"""Name of a result -> what draws its figure into a folder."""
TARGETS = {
    **{name: f"make bench-{name}" for name in ("loop", "defaults", "feed", "grouped", "gpu")},
    "packed_accuracy": "make bench-accuracy",
    **{
        f"sweep_{name}": f"python -m benchmarks.sweep --only {part}"
        for part, name in sweep_page.PARTS.items()
    },
}
"""Name of a result -> the command that measures it."""

_HEAD = """\
# Performance

Written by `make bench` and `make bench-gpu`; no figure by hand. Each part names the command, the
day, the hardware and the versions of every peer; a part that was not measured anew stays as it was.
Accuracy, grouped trials and whole sweeps take longer than `make bench` should: their commands stand
with them. Peers are installed from `benchmarks/requirements.lock` into `.venv-bench`, never with
the product.
"""
_MARK = re.compile(r"^<!-- (\w+) -->\n", re.MULTILINE)
"""Begins each part, with the name of its result."""


def page(folder: Path | None = None, before: str = "") -> str:
    """The whole text.

    Args:
        folder: Of the results; None is `.bench`.
        before: The text that stands there now; parts that have no whole result stay as they are.
    """
    _, *marked = _MARK.split(before)
    kept = {name: text.strip() for name, text in zip(marked[::2], marked[1::2], strict=True)}
    parts = [_HEAD]
    for name, section in PARTS.items():
        result = read_result(name, folder)
        missing = f"Not measured yet: {name} (`{TARGETS[name]}`)."
        text = kept.get(name, missing)
        if result is None and text == missing:
            result = read_result(f"{name}{SHORT}", folder)
        if result is not None:
            text = section(result).strip()
        parts.append(f"<!-- {name} -->\n{text}\n")
    return "\n".join(parts)


def main() -> None:
    """Write the page and its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=Path, help="folder of the results; by default .bench")
    parser.add_argument("--into", type=Path, default=DOCS, help="folder of the page")
    args = parser.parse_args()
    args.into.mkdir(parents=True, exist_ok=True)
    file = args.into / "performance.md"
    file.write_text(page(args.results, file.read_text() if file.exists() else ""))
    for name, picture in PICTURES.items():
        if (result := read_result(name, args.results)) is not None:
            picture(result, args.into)
    print(file)


if __name__ == "__main__":
    main()
