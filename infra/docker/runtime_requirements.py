"""The part of requirements.lock that runs sweeps: everything but the tools of those who work on it.

    python runtime_requirements.py requirements.lock pyproject.toml cuda|cpu|cpu-torch

The lock says of each package who asks for it; what pyproject.toml asks for outside ``dev``, and
whatever is asked for by that, is kept. Needs nothing but Python, since the image has nothing yet.
"""

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

TORCH = {"torch", "torchvision"}
_OF_CUDA = re.compile(r"nvidia-|cuda-|triton$")


@dataclass(frozen=True)
class Entry:
    """One package of the lock.

    Attributes:
        name: As the lock spells it, in lower case with hyphens.
        pin: ``name==version``, without its marker.
        lines: Pin, marker and hashes as they stand there.
        asked_for_by: Names of packages.
    """

    name: str
    pin: str
    lines: tuple[str, ...]
    asked_for_by: frozenset[str]


def read_lock(text: str) -> list[Entry]:
    """Every entry; a package may have several, with different markers."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if re.match(r"[a-z0-9]", line):
            blocks.append([])
        if blocks and line.strip():
            blocks[-1].append(line)
    return [_entry(block) for block in blocks]


def _entry(block: list[str]) -> Entry:
    pin = block[0].split(" ", 1)[0]
    comments = [line.strip("# ") for line in block if line.lstrip().startswith("#")]
    askers = [comment.removeprefix("via").strip() for comment in comments]
    lines = tuple(line for line in block if not line.lstrip().startswith("#"))
    return Entry(pin.split("==")[0], pin, lines, frozenset(asker for asker in askers if asker))


def asked_for(pyproject: str) -> set[str]:
    """Names that the project asks for, ``dev`` left out."""
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(x for e in extras if e != "dev" for x in extras[e])]
    found = [re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in asked]
    return {re.sub(r"[-_.]+", "-", match.group()).lower() for match in found if match}


def runtime(entries: list[Entry], asked: set[str]) -> list[Entry]:
    """Those that are asked for, and what they ask for in turn.

    Raises:
        ValueError: If the lock lacks one; it was not made from this pyproject.toml.
    """
    if missing := asked - {entry.name for entry in entries}:
        raise ValueError(f"requirements.lock lacks {', '.join(sorted(missing))}; make it again")
    kept, before = set(asked), set[str]()
    while kept != before:
        before = set(kept)
        kept |= {entry.name for entry in entries if entry.asked_for_by & before}
    return [entry for entry in entries if entry.name in kept]


def select(lock: str, pyproject: str, variant: str) -> str:
    """The lines to install from; ``cpu-torch`` is what ``cpu`` leaves out of torch's own."""
    entries = runtime(read_lock(lock), asked_for(pyproject))
    if variant == "cpu-torch":
        return "".join(f"{entry.pin}\n" for entry in entries if entry.name in TORCH)
    if variant == "cpu":
        entries = [e for e in entries if e.name not in TORCH and not _OF_CUDA.match(e.name)]
    lines = [line for entry in entries for line in entry.lines]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    lock_file, pyproject_file, wanted = sys.argv[1:]
    sys.stdout.write(select(Path(lock_file).read_text(), Path(pyproject_file).read_text(), wanted))
