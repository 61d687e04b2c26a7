"""What a fault cost, fault by fault: the table that `make faults` prints.

`python -m tests.faults.table FILE...` prints one table of what several sessions have written with
``--fault-rows FILE``.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

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

    def write(self, file: Path) -> None:
        """Write the outcomes down, for `read`."""
        rows = {fault: [asdict(one) for one in outcomes] for fault, outcomes in self.rows.items()}
        file.write_text(json.dumps({"seed": self.seed, "rows": rows}))

    @classmethod
    def read(cls, files: list[Path]) -> "Table":
        """The outcomes of all the files, whose seed is the same."""
        found = [json.loads(file.read_text()) for file in files]
        table = cls(found[0]["seed"])
        for one in found:
            for fault, outcomes in one["rows"].items():
                table.rows.setdefault(fault, []).extend(Outcome(**values) for values in outcomes)
        return table

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


if __name__ == "__main__":
    both = Table.read([Path(name) for name in sys.argv[1:]])
    print(f"moments drawn with --fault-seed {both.seed}", *both.lines(), sep="\n")
