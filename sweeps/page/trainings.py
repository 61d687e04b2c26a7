"""The trainings that a model card may tell of, whatever sweep they come from.

The recipe itself, and configurations that were trained again with fresh seeds: the best of many
trials with one seed each is luck by an unknown part.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from resnet_core import Recipe
from sweeps.figures.found import Found
from sweeps.record import TrialRecord
from sweeps.storage import read_data_file


@dataclass(frozen=True)
class Training:
    """One training that has ended with finite numbers.

    Attributes:
        found: The sweep that it belongs to.
        record: Of the trial or confirmation.
        end: What the worker measured in its last epoch.
    """

    found: Found
    record: TrialRecord
    end: dict[str, Any]

    @cached_property
    def recipe(self) -> Recipe:
        """That was trained."""
        return self.found.sweep.recipe_for(self.record.overrides)

    @property
    def configuration(self) -> str:
        """The same for trainings that differ in their seed alone, of this sweep or another one."""
        return self.found.sweep.recipe_for({**self.record.overrides, "seed": 0}).digest()

    @property
    def test_accuracy(self) -> float | None:
        """On the test split, as a fraction; None where that was not measured."""
        values = self.found.result.state.test.get(self.record.id)
        return None if values is None else values["accuracy"]

    @property
    def trial(self) -> str:
        """``digits/t0007``: of the sweep, or the one that it confirms."""
        return f"{self.found.result.name}/{self.record.id.partition('-')[0]}"

    @property
    def command(self) -> str:
        """That trained it."""
        folder = self.found.folder.path
        return f"sweeps run {folder.parent.name}/{folder.name}/resolved.yaml"

    @property
    def date(self) -> str:
        """When it ended, UTC."""
        return datetime.fromtimestamp(self.record.ended_at or 0.0, UTC).date().isoformat()

    @property
    def hardware(self) -> str:
        """What the training had: how many of what, as far as that is known."""
        resources = self.found.sweep.spec.resources
        data = read_data_file(self.found.folder.trial_folder(self.record)) or {}
        device = data.get("device")
        per_worker = resources.gpus_per_worker or resources.cpus_per_worker
        most = resources.max_workers * per_worker
        count = f"{most:g}"
        if resources.is_elastic:
            count = f"{resources.min_workers * per_worker:g}-{count}"
        if resources.gpus_per_worker == 0:
            kind = f" ({device})" if device else ""
            return f"{count} CPU core{'' if most == 1 else 's'}{kind}"
        return f"{count} x {device or _driver_gpu(self.found) or 'GPU'}"


def trainings(found: Found) -> Iterator[Training]:
    """Of one sweep.

    A configuration that diverged with one of its seeds has no mean, and is left out.
    """
    diverged = {one.index for one in found.result.confirmations if one.reason == "nan"}
    records = [
        record
        for record in found.result.confirmations
        if record.status == "completed" and record.index not in diverged
    ]
    recipe = found.result.baseline
    if recipe is not None and 0 not in diverged and all(record.index for record in records):
        records.append(recipe.record)
    for record in records:
        history = found.folder.history(record)
        if history and math.isfinite(history[-1]["val_accuracy"]):
            yield Training(found, record, history[-1])


def _driver_gpu(found: Found) -> str | None:
    """The GPU of the machine with the driver, in sweeps whose workers did not tell theirs."""
    environment = json.loads((found.folder.path / "environment.json").read_text())
    known = (environment.get("gpus") or "").splitlines()
    return known[0].partition(",")[0] if known else None
