"""What is wrong in a file: where, at which key, in plain words, and all of it at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from resnet_core.credentials import without_credentials

Loc = tuple[str | int, ...]
"""The keys and list indices that lead to a value: ``("space", "model.name", "choice", 0)``."""


class CannotTrain(ValueError):
    """A possible recipe that cannot be trained so: its data or pretrained weights do not fit it, it
    names none, the number of workers is wrong, or a checkpoint is another recipe's."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: The file as the user named it, or the ``--set`` that brought the value.
        line: From 1; 0 where a line says nothing (a missing file, a ``--set``).
        column: From 1, in characters; 0 as for the line.
        path: Dotted path of the value, "" for the whole file.
        message: What is wrong, what is allowed, and the nearest match where there is one.
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f"{self.path}: " if self.path else ""
        return without_credentials(f"{place}: {path}{self.message}")


class InvalidFile(ValueError):
    """A file that cannot be used; ``problems`` holds every reason, in reading order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def format_path(loc: Loc) -> str:
    """A loc for people: ``space.model.name.choice[0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` with the nearest known word, or "" if none is near."""
    near = get_close_matches(wrong, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
