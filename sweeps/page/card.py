"""The model card's table: what each member of the family has reached here, how often, at what cost.

A row is one configuration, a recipe without its seed, on one data set and one kind of hardware; its
accuracy is the mean over trainings with different seeds. What may stand in it: `trainings`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resnet_core.models.family import DEFAULT_WIDTH_PER_GROUP, FAMILY
from sweeps.answer.statistics import Interval, mean_interval
from sweeps.figures.found import Found
from sweeps.page.page import Page
from sweeps.page.trainings import Training, trainings

COLUMNS = [
    "data", "model", "parameters", "epochs", "val_accuracy", "seeds", "test accuracy",
    "minutes a training", "hardware of a training", "trial", "command", "date",
]  # fmt: skip
_KINDS = {str(name): member.kind for name, member in FAMILY.items()}
_MEMBERS = list(_KINDS)


@dataclass(frozen=True)
class CardRow:
    """One configuration.

    Attributes:
        data: Name of the data set.
        member: Of the family.
        model: Member, with groups and width where they are not the usual ones.
        parameters: That are trained; None where no training has told.
        num_epochs: Of its schedule.
        accuracy: On the validation split, over fresh seeds; of the recipe also with its own.
        test_accuracy: On the test split, likewise; None where it was not measured.
        minutes: Mean time of a training.
        hardware: That each training had.
        trials: As ``digits/t0007``: of each sweep that has trained it.
        commands: That trained it, likewise.
        date: When the last of its trainings ended, UTC.
    """

    data: str
    member: str
    model: str
    parameters: int | None
    num_epochs: int
    accuracy: Interval
    test_accuracy: Interval | None
    minutes: float
    hardware: str
    trials: list[str]
    commands: list[str]
    date: str

    def cells(self) -> list[str]:
        """As text, in the order of `COLUMNS`."""
        return [
            self.data,
            self.model,
            "not known" if self.parameters is None else f"{self.parameters:,}",
            str(self.num_epochs),
            _per_cent(self.accuracy),
            str(self.accuracy.n),
            "not measured" if self.test_accuracy is None else _per_cent(self.test_accuracy),
            f"{self.minutes:.2f}",
            self.hardware,
            ", ".join(self.trials),
            "; ".join(self.commands),
            self.date,
        ]

    def to_dict(self) -> dict[str, Any]:
        """As ``-o json`` prints it."""
        values = {**vars(self), "accuracy": self.accuracy.to_dict()}
        return {**values, "test_accuracy": self.test_accuracy and self.test_accuracy.to_dict()}


def card_rows(founds: Iterable[Found]) -> list[CardRow]:
    """What was measured in some sweeps, by data set, member and accuracy.

    A configuration that several sweeps have trained on the same hardware is one row; a seed that
    two of them share is one training.
    """
    groups: dict[tuple[str, str], dict[int, Training]] = {}
    for found in founds:
        for one in trainings(found):
            group = groups.setdefault((one.configuration, one.hardware), {})
            group.setdefault(one.recipe.seed, one)
    rows = [_row(list(group.values())) for group in groups.values()]
    return sorted(rows, key=lambda row: (row.data, _MEMBERS.index(row.member), -row.accuracy.mean))


def not_measured(rows: list[CardRow]) -> list[str]:
    """The rest of the family, a line for each data set: ``digits: resnet_20, resnet_32``.

    Of the kind (three stages or four) that was measured on the data set.
    """
    lines = []
    for data in dict.fromkeys(row.data for row in rows):
        measured = {row.member for row in rows if row.data == data}
        kinds = {_KINDS[name] for name in measured}
        rest = [name for name in _MEMBERS if _KINDS[name] in kinds and name not in measured]
        if rest:
            lines.append(f"{data}: {', '.join(rest)}")
    return lines


def card_table(page: Page, found: Found) -> None:
    """The table of one sweep, with what it is."""
    rows = card_rows([found])
    if not rows:
        page.paragraphs("Nothing has completed yet.")
        return
    turned = zip(COLUMNS, *(row.cells() for row in rows), strict=True)
    header, *body = (list(cells) for cells in turned)
    page.table(header, body)
    page.paragraphs(
        "Accuracies are means over the seeds, with a 95 % interval (Student's t) from two seeds "
        "on; the recipe, and what was trained again with fresh seeds. Its hyper-parameters stand "
        "in the recipe below.",
        kind="soft",
    )


def _row(group: list[Training]) -> CardRow:
    first = group[0]
    model = first.recipe.model
    usual = DEFAULT_WIDTH_PER_GROUP
    width = "" if model.width_per_group == usual else f", width {model.width_per_group}"
    groups = "" if model.groups == 1 else f", {model.groups} groups"
    tested = [one.test_accuracy for one in group if one.test_accuracy is not None]
    return CardRow(
        data=first.found.data_name,
        member=model.name,
        model=f"{model.name}{groups}{width}",
        parameters=first.end.get("parameters"),
        num_epochs=first.end["num_epochs"],
        accuracy=mean_interval([one.end["val_accuracy"] for one in group]),
        test_accuracy=mean_interval(tested) if tested else None,
        minutes=sum(one.end["elapsed_seconds"] for one in group) / len(group) / 60,
        hardware=first.hardware,
        trials=list(dict.fromkeys(one.trial for one in group)),
        commands=list(dict.fromkeys(one.command for one in group)),
        date=max(one.date for one in group),
    )


def _per_cent(value: Interval) -> str:
    width = "" if value.half_width is None else f" ± {100 * value.half_width:.2f}"
    return f"{100 * value.mean:.2f}{width} %"


def card_markdown(rows: list[CardRow]) -> str:
    """The table as Markdown, and what it lacks."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(row.cells() for row in rows)]
    rest = [f"Not measured on {line}" for line in not_measured(rows)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *rest]).rstrip()
