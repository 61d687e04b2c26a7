"""Learning-rate schedules as pure functions of the optimizer step; needs no torch.

A schedule returns a multiplier of the peak learning rate, so one schedule serves every parameter
group and a resumed training needs only the step. Steps are optimizer updates, counted from 0: step
k trains at ``multiplier(k)``. Lengths become whole numbers of steps first (`Duration.steps`).
"""

import math
from collections.abc import Callable
from typing import Literal, Self

from pydantic import Field, model_validator

from resnet_core.duration import Duration
from resnet_core.strict import StrictModel

Multiplier = Callable[[int], float]

_ZERO = Duration.parse("0ep")


class CosineDecay(StrictModel):
    """Half a cosine from the peak down to a floor, beginning where the warm-up ends."""

    T_max: Duration = Field(description="Length of the half cosine, the warm-up not counted.")
    eta_min: float = Field(default=0.0, ge=0, description="Floor: a learning rate, not a ratio.")
    interval: Literal["step", "epoch"] = Field(
        default="step", description="epoch keeps the rate of an epoch's first step throughout it."
    )
    verbose: Literal[False] = Field(
        default=False, description="Read because the published recipe has it; nothing is printed."
    )

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        if self.T_max.value == 0:
            raise ValueError("T_max is 0: a cosine needs a length")
        return self


class StepDecay(StrictModel):
    """The rate is multiplied by gamma at each milestone."""

    milestones: tuple[Duration, ...] = Field(
        min_length=1, description="Points of the whole training, the warm-up counted."
    )
    gamma: float = Field(default=0.1, gt=0, le=1)


class SchedulesConfig(StrictModel):
    """The lr_schedulers section: a linear warm-up, then a decay or the constant peak."""

    linear_warmup: Duration = Field(
        default=_ZERO, description="Ramp from rate 0 at step 0 to the peak; 0ep begins there."
    )
    cosine_decay: CosineDecay | None = None
    step_decay: StepDecay | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_warmup_is_none(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("linear_warmup", "") is None:
            return {key: value for key, value in data.items() if key != "linear_warmup"}
        return data

    @model_validator(mode="after")
    def _check_one_decay(self) -> Self:
        if self.cosine_decay is not None and self.step_decay is not None:
            raise ValueError("choose one of cosine_decay and step_decay, got both")
        return self


def build_schedule(
    config: SchedulesConfig, *, peak_learning_rate: float, steps_per_epoch: int, total_steps: int
) -> Multiplier:
    """Make the function from optimizer step (from 0) to multiplier of the peak learning rate.

    Args:
        config: The section of the recipe.
        peak_learning_rate: For floors that are given as a rate; above 0.
        steps_per_epoch: Optimizer steps in an epoch, at least 1.
        total_steps: Optimizer steps of the whole training, for lengths in ``dur``.

    Raises:
        ValueError: If a floor is above the peak.
    """
    warmup_steps = config.linear_warmup.steps(steps_per_epoch, total_steps)
    if config.cosine_decay is not None:
        cosine = config.cosine_decay
        floor = cosine.eta_min / peak_learning_rate
        if floor > 1:
            raise ValueError(
                f"cosine_decay.eta_min {cosine.eta_min:g} is above the peak learning rate "
                f"{peak_learning_rate:g}"
            )
        # A length that rounds to no step at all is one step: the rate drops at once.
        decay_steps = max(1, cosine.T_max.steps(steps_per_epoch, total_steps))

        def decay(step: int) -> float:
            at = step - step % steps_per_epoch if cosine.interval == "epoch" else step
            share = min(max(at - warmup_steps, 0) / decay_steps, 1.0)
            return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))

    elif config.step_decay is not None:
        gamma = config.step_decay.gamma
        milestones = [m.steps(steps_per_epoch, total_steps) for m in config.step_decay.milestones]

        def decay(step: int) -> float:
            return gamma ** sum(step >= milestone for milestone in milestones)

    else:

        def decay(step: int) -> float:
            return 1.0

    def multiplier(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        return decay(step)

    return multiplier
