"""Learning-rate schedules as pure functions of the optimizer step; needs no torch.

A schedule returns a multiplier of the peak learning rate, so one schedule serves every parameter
group and a resumed training needs only the step. Steps are optimizer updates, counted from 0: step
k trains at ``multiplier(k)``. Lengths become whole numbers of steps first (`Duration.steps`).
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from resnet_core.duration import Duration, PositiveLength, StepLength
from resnet_core.strict import StrictModel

Multiplier = Callable[[int], float]
StepsOf = Callable[[Duration], int]

_ZERO = Duration.parse("0ep")


class Decay(StrictModel):
    """What follows the warm-up; a kind of decay says how in `curve`."""

    interval: Literal["step", "epoch"] = Field(
        default="step", description="epoch keeps the rate of an epoch's first step throughout it."
    )

    def curve(self, steps_of: StepsOf, peak: float) -> Callable[[int], float]:
        """The multiplier of the peak as a function of the steps since the end of the warm-up.

        Args:
            steps_of: Makes whole steps of a length.
            peak: The peak learning rate, for floors that are rates.
        """
        raise NotImplementedError


class DecayToFloor(Decay):
    """A decay of a given length from the peak down to a floor, which then holds."""

    T_max: PositiveLength = Field(description="Length of the decay, the warm-up not counted.")
    eta_min: float = Field(default=0.0, ge=0, description="Floor: a learning rate, not a ratio.")

    def shape(self, share: float) -> float:
        """How much of the way from floor to peak is left; 1 at share 0, 0 at share 1."""
        raise NotImplementedError

    def curve(self, steps_of: StepsOf, peak: float) -> Callable[[int], float]:
        """See `Decay.curve`."""
        floor = self.eta_min / peak
        length = _at_least_one(steps_of(self.T_max))
        return lambda step: floor + (1 - floor) * self.shape(min(step / length, 1.0))


class Constant(Decay):
    """The peak, to the end."""

    def curve(self, steps_of: StepsOf, peak: float) -> Callable[[int], float]:
        """See `Decay.curve`."""
        return lambda step: 1.0


class CosineDecay(DecayToFloor):
    """Half a cosine (Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5)."""

    verbose: Literal[False] = Field(
        default=False, description="Read because the published recipe has it; nothing is printed."
    )

    def shape(self, share: float) -> float:
        """See `DecayToFloor.shape`."""
        return 0.5 * (1 + math.cos(math.pi * share))


class Linear(DecayToFloor):
    """A straight line."""

    def shape(self, share: float) -> float:
        """See `DecayToFloor.shape`."""
        return 1 - share


class Polynomial(DecayToFloor):
    """A power of what is left: 1 is a straight line, 2 falls fast at first."""

    power: float = Field(default=2.0, gt=0)

    def shape(self, share: float) -> float:
        """See `DecayToFloor.shape`."""
        return (1 - share) ** self.power


class Exponential(Decay):
    """The rate is multiplied by gamma in each period, bit by bit."""

    gamma: float = Field(gt=0, le=1)
    period: PositiveLength = Duration.parse("1ep")

    def curve(self, steps_of: StepsOf, peak: float) -> Callable[[int], float]:
        """See `Decay.curve`."""
        period = _at_least_one(steps_of(self.period))
        return lambda step: self.gamma ** (step / period)


class CosineRestarts(Decay):
    """Half a cosine again and again (SGDR, Loshchilov & Hutter 2016, arXiv:1608.03983)."""

    T_0: PositiveLength = Field(description="Length of the first cosine.")
    T_mult: int = Field(default=1, ge=1, description="Each cosine is so many times the one before.")
    eta_min: float = Field(default=0.0, ge=0, description="Floor: a learning rate, not a ratio.")

    def curve(self, steps_of: StepsOf, peak: float) -> Callable[[int], float]:
        """See `Decay.curve`."""
        first, floor = _at_least_one(steps_of(self.T_0)), self.eta_min / peak

        def multiplier(step: int) -> float:
            length = first
            if self.T_mult == 1:
                step %= length
            while step >= length:
                step -= length
                length *= self.T_mult
            return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * step / length))

        return multiplier


class OneCycle(Decay):
    """Up from a part of the peak and down to next to nothing, both by half a cosine.

    Source: Smith & Topin 2017, arXiv:1708.07120; parameters as in torch's OneCycleLR.
    """

    T_max: PositiveLength = Field(description="Length of the whole cycle.")
    pct_start: float = Field(default=0.3, gt=0, lt=1, description="Share that rises.")
    div_factor: float = Field(default=25.0, ge=1, description="Peak over the rate at the start.")
    final_div_factor: float = Field(
        default=1e4, ge=1, description="Rate at the start over the rate at the end."
    )

    def curve(self, steps_of: StepsOf, peak: float) -> Callable[[int], float]:
        """See `Decay.curve`."""
        # torch's last step is the end of the cycle, so a cycle of n steps has n - 1 parts.
        end = _at_least_one(steps_of(self.T_max) - 1)
        top = self.pct_start * (end + 1) - 1
        start = 1 / self.div_factor
        last = start / self.final_div_factor

        def multiplier(step: int) -> float:
            if step < top:
                begin, goal, share = start, 1.0, step / top
            else:
                begin, goal, share = 1.0, last, min((step - top) / (end - top), 1.0)
            return goal + (begin - goal) * 0.5 * (1 + math.cos(math.pi * share))

        return multiplier


class WarmupStableDecay(Decay):
    """The peak for a time, then a straight line down; `linear_warmup` is its warm-up.

    Source: Hu et al. 2024, arXiv:2404.06395, section 4.2.
    """

    T_stable: StepLength = Field(description="Length at the peak.")
    T_decay: PositiveLength = Field(description="Length of the line.")
    eta_min: float = Field(default=0.0, ge=0, description="Floor: a learning rate, not a ratio.")

    def curve(self, steps_of: StepsOf, peak: float) -> Callable[[int], float]:
        """See `Decay.curve`."""
        stable, decay = steps_of(self.T_stable), _at_least_one(steps_of(self.T_decay))
        floor = self.eta_min / peak
        return lambda step: 1 - (1 - floor) * min(max(step - stable, 0) / decay, 1.0)


class StepDecay(Decay):
    """The rate is multiplied by gamma at each milestone."""

    milestones: tuple[StepLength, ...] = Field(
        min_length=1, description="Points of the whole training, the warm-up counted."
    )
    gamma: float = Field(default=0.1, gt=0, le=1)

    def curve(self, steps_of: StepsOf, peak: float) -> Callable[[int], float]:
        """See `Decay.curve`; here of the steps since the beginning of the training."""
        milestones = [steps_of(milestone) for milestone in self.milestones]
        return lambda step: self.gamma ** sum(step >= milestone for milestone in milestones)


class SchedulesConfig(StrictModel):
    """The lr_schedulers section: a linear warm-up, then one decay or the constant peak."""

    linear_warmup: StepLength = Field(
        default=_ZERO, description="Ramp from rate 0 at step 0 to the peak; 0ep begins there."
    )
    constant: Constant | None = None
    cosine_decay: CosineDecay | None = None
    cosine_restarts: CosineRestarts | None = None
    exponential: Exponential | None = None
    linear: Linear | None = None
    one_cycle: OneCycle | None = None
    polynomial: Polynomial | None = None
    step_decay: StepDecay | None = None
    warmup_stable_decay: WarmupStableDecay | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_warmup_is_none(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("linear_warmup", "") is None:
            return {key: value for key, value in data.items() if key != "linear_warmup"}
        return data

    @model_validator(mode="after")
    def _check_one_decay(self) -> Self:
        chosen = [name for name, value in self if isinstance(value, Decay)]
        if len(chosen) > 1:
            allowed = ", ".join(name for name in type(self).model_fields if name != "linear_warmup")
            raise ValueError(f"choose one of {allowed}, got {' and '.join(chosen)}")
        return self

    @property
    def decay(self) -> tuple[str, Decay]:
        """Name and settings of what follows the warm-up."""
        chosen = [(name, value) for name, value in self if isinstance(value, Decay)]
        return chosen[0] if chosen else ("constant", Constant())


def build_schedule(
    config: SchedulesConfig,
    *,
    peak_learning_rate: float,
    steps_per_epoch: int,
    total_steps: int,
    scale: Fraction = Fraction(1),
) -> Multiplier:
    """Make the function from optimizer step (from 0) to multiplier of the peak learning rate.

    Args:
        config: The section of the recipe.
        peak_learning_rate: For floors that are given as a rate; above 0.
        steps_per_epoch: Optimizer steps in an epoch, at least 1.
        total_steps: Optimizer steps of the whole training, for lengths in ``dur``.
        scale: Of every length in ``ep`` and ``ba`` (the recipe's ``schedule_scale``).

    Raises:
        ValueError: If a floor is above the peak.
    """

    def steps_of(length: Duration) -> int:
        return length.steps(steps_per_epoch, total_steps, scale=scale)

    name, decay = config.decay
    floor = getattr(decay, "eta_min", 0.0)
    if floor > peak_learning_rate:
        raise ValueError(
            f"{name}.eta_min {floor:g} is above the peak learning rate {peak_learning_rate:g}"
        )
    warmup_steps = steps_of(config.linear_warmup)
    begin = 0 if isinstance(decay, StepDecay) else warmup_steps
    curve = decay.curve(steps_of, peak_learning_rate)

    def multiplier(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        at = step - step % steps_per_epoch if decay.interval == "epoch" else step
        return curve(max(at - begin, 0))

    return multiplier


def _at_least_one(steps: int) -> int:
    # A length that rounds to no step at all is one step: the rate drops at once.
    return max(1, steps)
