"""What a fault cost, fault by fault: the table that `make faults` prints."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HEADER = ("fault", "tried", "survived", "points lost", "steps repeated", "seconds to recover")


@dataclass
class Outcome:
    """One time that a fault was tried.

    Attributes:
        points_lost: Metric points of the undisturbed reference that the store lacks, or has twice.
        steps_repeated: Optimizer steps trained more than once; None where no training is disturbed.
        seconds: From the fault to the first new sign of progress; None where nothing restarts.
        survived: Set by the table.
    """

    points_lost: int = 0
    steps_repeated: int | None = None
    seconds: float | None = None
    survived: bool = False


@dataclass
class Table:
    """The outcomes of a session by fault, in the order tried."""

    seed: int
    rows: dict[str, list[Outcome]] = field(default_factory=dict)

    @contextmanager
    def trial(self, fault: str) -> Iterator[Outcome]:
        """Try a fault once; it is survived if the body ends without an exception."""
        outcome = Outcome()
        self.rows.setdefault(fault, []).append(outcome)
        yield outcome
        outcome.survived = True

    def lines(self) -> list[str]:
        """The table as Markdown: sums of tried, survived and lost, the worst of the others."""
        lines = [f"| {' | '.join(HEADER)} |", f"|---{'|--:' * (len(HEADER) - 1)}|"]
        for fault, outcomes in self.rows.items():
            cells = (
                fault,
                len(outcomes),
                sum(outcome.survived for outcome in outcomes),
                sum(outcome.points_lost for outcome in outcomes),
                _worst([outcome.steps_repeated for outcome in outcomes], ".0f"),
                _worst([outcome.seconds for outcome in outcomes], ".1f"),
            )
            lines.append(f"| {' | '.join(map(str, cells))} |")
        return lines


def _worst(values: list[float | None] | list[int | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(max(known), form) if known else "-"
