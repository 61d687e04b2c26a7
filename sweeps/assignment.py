"""One schedule to train, as the agenda hands it out."""

from dataclasses import dataclass
from pathlib import Path

from resnet_core import Recipe
from sweeps.record import TrialRecord


@dataclass(frozen=True)
class Assignment:
    """One schedule to train: a trial's whole one, or that of a rung of so many epochs."""

    record: TrialRecord
    rung: int | None
    folder: Path

    @property
    def key(self) -> str:
        """Tells the assignments of a sweep apart."""
        return f"{self.record.id}@{self.rung or 'whole'}"


def stretched(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with its whole schedule, warm-up included, made so many epochs long."""
    scale = epochs / float(recipe.max_duration.value)
    return recipe.model_copy(update={"schedule_scale": scale})
