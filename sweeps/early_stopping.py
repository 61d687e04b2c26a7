"""The section ``early_stopping`` of a sweep file: which rule, at which fidelity; needs no Ray.

*Fidelity* is what a rung measures. ``truncate`` looks at a trial in the middle of its schedule, so
a cosine is compared half-finished. ``stretch`` trains a complete schedule of the rung's length and,
if the trial is promoted, the next longer one from scratch. ../docs/search.md compares them.
"""

import math
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from resnet_core.duration import Duration
from resnet_core.strict import StrictModel
from sweeps.population.config import Pb2Config, PbtConfig
from sweeps.rules import rungs_below

Fidelity = Literal["stretch", "truncate"]

_DEFAULT_GRACE_RATIO = 1 / 9
_ONLY_TRUNCATED = ("median", "pbt", "pb2")


class Grace(StrictModel):
    """What rules have that look at trials at rungs."""

    grace_period: Duration | None = Field(
        default=None,
        description="The first rung, in whole epochs: 2ep; null: a ninth of the recipe's length.",
    )

    @field_validator("grace_period")
    @classmethod
    def _check_whole_epochs(cls, value: Duration | None) -> Duration | None:
        if value is not None and (
            value.unit != "ep" or value.value.denominator != 1 or value.value < 1
        ):
            raise ValueError(f"a rung lies at a whole epoch, 1ep or later, got {value}")
        return value

    def grace_epochs(self, num_epochs: int) -> int:
        """The first rung in epochs, at least 1.

        Args:
            num_epochs: Of the recipe, trial 0.
        """
        if self.grace_period is not None:
            return int(self.grace_period.value)
        return max(1, math.ceil(num_epochs * _DEFAULT_GRACE_RATIO))


class AshaConfig(Grace):
    """Asynchronous successive halving: of each rung the best 1 in ``reduction_factor`` go on."""

    reduction_factor: int = Field(default=3, ge=2, description="Rungs lie this factor apart.")
    max_rungs: int | None = Field(
        default=None, ge=1, description="null: as many as lie below the whole schedule."
    )


class HyperbandConfig(Grace):
    """Successive halving in brackets, of which each spares its trials one more rung."""

    max_rungs: ClassVar[None] = None  # a bracket less would be another rule
    reduction_factor: int = Field(default=3, ge=2, description="Rungs lie this factor apart.")


class MedianConfig(Grace):
    """A trial stops once its best value is below the median of the other trials' means."""

    min_trials: int = Field(default=4, ge=1, description="That have come as far, to compare with.")


class EarlyStoppingConfig(StrictModel):
    """One rule that stops weak trials, and what it compares."""

    fidelity: Fidelity | None = Field(
        default=None,
        description="stretch: complete schedules of a rung's length; truncate: one schedule, "
        "looked at on its way. null: stretch where the rule can.",
    )
    asha: AshaConfig | None = None
    hyperband: HyperbandConfig | None = None
    median: MedianConfig | None = None
    pbt: PbtConfig | None = None
    pb2: Pb2Config | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_empty_rule(cls, data: Any) -> Any:
        """``asha:`` with nothing below it is the rule with its defaults."""
        rules = [key for key in data if key != "fidelity"] if isinstance(data, dict) else []
        if len(rules) == 1 and rules[0] in cls.model_fields and data[rules[0]] is None:
            return {**data, rules[0]: {}}
        return data

    @model_validator(mode="after")
    def _check_rule(self) -> Self:
        rules = [name for name in type(self).model_fields if name != "fidelity"]
        chosen = [name for name in rules if getattr(self, name) is not None]
        if len(chosen) != 1:
            raise ValueError(
                f"choose one of {', '.join(rules)}, got {' and '.join(chosen) or 'none'}"
            )
        if self.fidelity == "stretch" and chosen[0] in _ONLY_TRUNCATED:
            raise ValueError(
                f"{chosen[0]} watches one schedule on its way: fidelity: truncate; "
                "stretch goes with asha and hyperband"
            )
        return self

    @property
    def rule(self) -> AshaConfig | HyperbandConfig | MedianConfig | PbtConfig | Pb2Config:
        """The rule that was chosen."""
        rules = (self.asha, self.hyperband, self.median, self.pbt, self.pb2)
        return next(rule for rule in rules if rule is not None)

    @property
    def rule_name(self) -> str:
        """The key of `rule`."""
        return next(n for n in type(self).model_fields if getattr(self, n) is self.rule)

    def rungs(
        self, num_epochs: int, recipe_epochs: int, *, first: int | None = None
    ) -> tuple[int, ...]:
        """Epochs at which trials are compared before their end; none where rungs are no part of it.

        Args:
            num_epochs: Of the trial's whole schedule.
            recipe_epochs: Of trial 0's, which a first rung that is not written down follows from.
            first: The first rung of a later bracket of Hyperband.
        """
        rule = self.rule
        if not isinstance(rule, AshaConfig | HyperbandConfig):
            return ()
        rung, factor = first or rule.grace_epochs(recipe_epochs), rule.reduction_factor
        if self.stretches:
            return rungs_below(
                num_epochs, grace_epochs=rung, reduction_factor=factor, max_rungs=rule.max_rungs
            )
        found: list[int] = []
        while rung < num_epochs and len(found) != rule.max_rungs:
            found.append(rung)
            rung *= factor
        return tuple(found)

    @property
    def stretches(self) -> bool:
        """Whether a rung trains a complete schedule of its length."""
        if self.fidelity is not None:
            return self.fidelity == "stretch"
        return self.rule_name not in _ONLY_TRUNCATED


DEFAULT = EarlyStoppingConfig(asha=AshaConfig(max_rungs=1))
"""What a sweep file that does not speak of early stopping gets, where its recipe is long enough."""
