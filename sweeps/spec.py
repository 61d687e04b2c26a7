"""The sweep file, typed, and with the recipe it extends; `sweeps.loading` reads and checks it."""

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from resnet_core.core_yaml import write_document
from resnet_core.recipe import Recipe
from resnet_core.strict import StrictModel
from sweeps.early_stopping import DEFAULT, EarlyStoppingConfig
from sweeps.names import check_name
from sweeps.sections import (
    BudgetConfig,
    ConfirmConfig,
    ObjectiveConfig,
    ResourcesConfig,
    SearchConfig,
    StorageConfig,
    TrackingConfig,
)
from sweeps.space.constraints import ConstraintList
from sweeps.space.domains import Domain, canonical
from sweeps.space.space import Space, apply_overrides

MAX_KEYS = 200
"""Of a space: a recipe has not as many fields."""
_MAX_COUNTED = 10_000  # combinations that are gone through to count the points of a space


class SweepSpec(StrictModel):
    """A sweep file. The recipe is named by ``extends`` or stands inside as ``recipe``."""

    version: Literal[1]
    name: str
    extends: str | None = Field(
        default=None, min_length=1, description="The recipe file, relative to the sweep file."
    )
    recipe: dict[str, Any] | None = Field(default=None, description="The recipe itself.")
    objective: ObjectiveConfig = ObjectiveConfig()
    space: dict[str, Domain] = Field(min_length=1, max_length=MAX_KEYS)
    constraints: ConstraintList = Field(
        default=(),
        max_length=100,
        description="Of a trial's model: parameters <= 30M, flops <= 5e9.",
    )
    search: SearchConfig = SearchConfig()
    early_stopping: EarlyStoppingConfig | None = Field(
        default=DEFAULT, description="null: every trial trains its whole schedule."
    )
    budget: BudgetConfig = BudgetConfig()
    resources: ResourcesConfig = ResourcesConfig()
    confirm: ConfirmConfig | None = None
    tracking: TrackingConfig = TrackingConfig()
    storage: StorageConfig = StorageConfig()

    _check_name = field_validator("name")(check_name)

    @model_validator(mode="after")
    def _check_one_recipe(self) -> Self:
        if (self.extends is None) == (self.recipe is None):
            raise ValueError(
                "name one recipe: extends: FILE, or the recipe itself as recipe: {...}"
            )
        return self

    @property
    def given_trials(self) -> int | None:
        """Number of trials as the file says it; None if it leaves that to grid or budget."""
        return self.search.trials or self.budget.trials

    @property
    def experiment_name(self) -> str:
        """The MLflow experiment: as given, else the sweep's name."""
        return self.tracking.experiment or self.name


@dataclass(frozen=True)
class Sweep:
    """A sweep that can be run.

    Attributes:
        path: The sweep file.
        text: The file as written.
        spec: The file as typed models, every ``--set`` applied.
        recipe: Trial 0.
        recipe_data: Trial 0 as plain data, complete; overrides apply to it.
        space: What varies around it.
    """

    path: Path
    text: str
    spec: SweepSpec
    recipe: Recipe
    recipe_data: dict[str, Any]
    space: Space

    @property
    def num_trials(self) -> int | None:
        """Trials to train, trial 0 included: as given, or the whole grid; None: no limit."""
        if self.spec.given_trials is None and self.spec.search.algorithm == "grid":
            return 1 + self.space.grid_size(every_key=True)
        return self.spec.given_trials

    @property
    def num_points(self) -> int | None:
        """How many points the space has, if they can be counted; None if not."""
        if any(domain.num_values is None for domain in self.space.sampled.values()):
            return None
        return self.space.grid_size(_MAX_COUNTED, every_key=True)

    def recipe_for(self, overrides: dict[str, Any]) -> Recipe:
        """The recipe of a trial: flat overrides (recipe path -> value) on trial 0.

        Raises:
            ValueError: If the overrides make no possible recipe, which points of `space` never do.
        """
        return Recipe.model_validate(apply_overrides(self.recipe_data, overrides))

    def resolved(self) -> dict[str, Any]:
        """Everything as plain data: a sweep file that needs no other file, defaults written out."""
        data = self.spec.model_dump(mode="json", exclude={"extends", "recipe", "space"})
        space = {
            path: domain.model_dump(mode="json", exclude_defaults=True)
            for path, domain in self.space.domains.items()
        }
        names = {name: data.pop(name) for name in ("version", "name")}
        return {**names, "recipe": self.recipe_data, "space": space, **data}

    def resolved_yaml(self) -> str:
        """`resolved` as a file that `load_sweep` reads back as the same sweep."""
        return write_document(self.resolved())

    def changes_from(self, resolved_yaml: str) -> str:
        """What differs from another sweep's `resolved_yaml`, as a diff; "" if nothing does."""
        lines = difflib.unified_diff(
            resolved_yaml.splitlines(), self.resolved_yaml().splitlines(), "there", "now", n=0,
            lineterm="",
        )  # fmt: skip
        return "\n".join(lines)

    def digest(self) -> str:
        """sha256, in hex, of `resolved`: equal sweeps have equal digests however written."""
        return hashlib.sha256(canonical(self.resolved()).encode()).hexdigest()
