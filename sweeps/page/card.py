"""The model card's table: what each member of the family has reached here, how often, at what cost.

A row is one configuration on one data set: a recipe without its seed. Its accuracy is the mean over
trainings with different seeds. Only the recipe itself and configurations that were trained again
with fresh seeds are told: the best of many trials with one seed each is luck by an unknown part.
"""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from resnet_core.models.family import DEFAULT_WIDTH_PER_GROUP
from sweeps.answer.statistics import Interval, mean_interval
from sweeps.figures.found import Found
from sweeps.page.page import Page
from sweeps.record import TrialRecord

COLUMNS = [
    "data", "model", "parameters", "epochs", "val_accuracy", "seeds", "test accuracy",
    "minutes a training", "hardware of a training", "trial", "command", "date",
]  # fmt: skip


@dataclass(frozen=True)
class CardRow:
    """One configuration.

    Attributes:
        data: Name of the data set.
        model: Member, with groups and width where they are not the usual ones.
        parameters: That are trained; None where no training has told.
        num_epochs: Of its schedule.
        accuracy: On the validation split, over fresh seeds or of the recipe's own.
        test_accuracy: On the test split, likewise; None where it was not measured.
        minutes: Mean time of a training.
        hardware: That each training had.
        trial: Of the sweep.
        command: That trained it.
        date: When the last of its trainings ended, UTC.
    """

    data: str
    model: str
    parameters: int | None
    num_epochs: int
    accuracy: Interval
    test_accuracy: Interval | None
    minutes: float
    hardware: str
    trial: str
    command: str
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
            self.trial,
            self.command,
            self.date,
        ]

    def to_dict(self) -> dict[str, Any]:
        """As ``-o json`` prints it."""
        values = {**vars(self), "accuracy": self.accuracy.to_dict()}
        return {**values, "test_accuracy": self.test_accuracy and self.test_accuracy.to_dict()}


def card_rows(found: Found) -> list[CardRow]:
    """The recipe, and what was confirmed, of one sweep; best first.

    A configuration that diverged with one of its seeds has no mean, and is left out.
    """
    groups: dict[int, list[TrialRecord]] = {}
    diverged = {one.index for one in found.result.confirmations if one.reason == "nan"}
    for record in found.result.confirmations:
        if record.status == "completed" and record.index not in diverged:
            groups.setdefault(record.index, []).append(record)
    recipe = found.result.baseline
    if recipe is not None and 0 not in groups and 0 not in diverged:
        groups[0] = [recipe.record]
    rows = [row for index, records in groups.items() if (row := _row(found, index, records))]
    return sorted(rows, key=lambda row: -row.accuracy.mean)


def card_table(page: Page, found: Found) -> None:
    """The table of one sweep, with what it is."""
    rows = card_rows(found)
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


def _row(found: Found, index: int, records: list[TrialRecord]) -> CardRow | None:
    histories = [found.folder.history(record) for record in records]
    ends = [history[-1] for history in histories if history]
    ends = [end for end in ends if math.isfinite(end["val_accuracy"])]
    if not ends:
        return None
    model = found.sweep.recipe_for(found.result.rows[index].record.overrides).model
    width = (
        ""
        if model.width_per_group == DEFAULT_WIDTH_PER_GROUP
        else f", width {model.width_per_group}"
    )
    groups = "" if model.groups == 1 else f", {model.groups} groups"
    tested = [
        values["accuracy"]
        for record in records
        if (values := found.result.state.test.get(record.id)) is not None
    ]
    ended_at = max(record.ended_at or 0.0 for record in records)
    return CardRow(
        data=found.data_name,
        model=f"{model.name}{groups}{width}",
        parameters=ends[0].get("parameters"),
        num_epochs=ends[0]["num_epochs"],
        accuracy=mean_interval([end["val_accuracy"] for end in ends]),
        test_accuracy=mean_interval(tested) if tested else None,
        minutes=sum(end["elapsed_seconds"] for end in ends) / len(ends) / 60,
        hardware=_hardware(found),
        trial=records[0].id.partition("-")[0],
        command=f"sweeps run {found.folder.path.parent.name}/{found.result.name}/resolved.yaml",
        date=datetime.fromtimestamp(ended_at, UTC).date().isoformat(),
    )


def _hardware(found: Found) -> str:
    """What a training asked for; the kind of GPU is that of the machine with the driver."""
    resources = found.sweep.spec.resources
    if resources.gpus_per_worker == 0:
        cores = resources.workers_per_trial * resources.cpus_per_worker
        return f"{cores:g} CPU core{'' if cores == 1 else 's'}"
    environment = json.loads((found.folder.path / "environment.json").read_text())
    known = (environment.get("gpus") or "").splitlines()
    kind = known[0].partition(",")[0] if known else "GPU"
    return f"{resources.workers_per_trial * resources.gpus_per_worker:g} x {kind}"


def _per_cent(value: Interval) -> str:
    width = "" if value.half_width is None else f" ± {100 * value.half_width:.2f}"
    return f"{100 * value.mean:.2f}{width} %"


def card_markdown(rows: list[CardRow]) -> str:
    """The table as Markdown, by data set, then by accuracy."""
    ordered = sorted(rows, key=lambda row: (row.data, -row.accuracy.mean))
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(row.cells() for row in ordered)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
