"""What a check of `sweeps doctor` has found: one line, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it is: a sweep works; works worse than it could; does not work, or is not safe."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """Of one check.

    Attributes:
        check: Its name.
        state: How it is.
        message: What was looked at, and what was found.
        fix: What to do; None where all is well.
    """

    check: str
    state: State
    message: str
    fix: str | None = None

    def __str__(self) -> str:
        """``problem  storage  ...``, the fix in a line of its own below."""
        line = f"{self.state:<8} {self.check:<13} {self.message}"
        return line if self.fix is None else f"{line}\n{'':<22} fix: {self.fix}"


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, State.OK, message)


def warning(check: str, message: str, fix: str) -> Finding:
    """It works, though not as well as it could."""
    return Finding(check, State.WARNING, message, fix)


def problem(check: str, message: str, fix: str) -> Finding:
    """A sweep would fail here, or be open to others."""
    return Finding(check, State.PROBLEM, message, fix)
