"""The rules ``pbt`` and ``pb2`` of early stopping: weak trials go on from strong ones' weights.

A population trains in step: whoever reaches a multiple of ``perturbation_interval`` waits for the
others, then each of the weakest takes over weights and hyper-parameters of one of the strongest,
the hyper-parameters slightly changed. Trial 0 may be taken from and never takes over.

Source: Jaderberg et al. 2017, arXiv:1711.09846, appendix A.1 (the synchronous form); PB2 is
Parker-Holder et al. 2020, arXiv:2002.02518.
"""

from typing import Self

from pydantic import Field, field_validator, model_validator

from resnet_core.duration import Duration
from resnet_core.strict import StrictModel


class PopulationConfig(StrictModel):
    """What both rules have."""

    perturbation_interval: Duration = Field(
        default=Duration.parse("1ep"),
        description="From one comparison to the next, in whole epochs: 2ep.",
    )
    quantile_ratio: float = Field(
        default=0.25, gt=0, le=0.5, description="Share that takes over, and share taken from."
    )

    @field_validator("perturbation_interval")
    @classmethod
    def _check_whole_epochs(cls, value: Duration) -> Duration:
        if value.unit != "ep" or value.value.denominator != 1 or value.value < 1:
            raise ValueError(f"trials are compared at whole epochs, 1ep or more apart, got {value}")
        return value

    @property
    def interval_epochs(self) -> int:
        """``perturbation_interval`` as a number of epochs, at least 1."""
        return int(self.perturbation_interval.value)


class PbtConfig(PopulationConfig):
    """Population Based Training: what is taken over is multiplied by a factor or drawn again."""

    resample_probability: float = Field(
        default=0.25, ge=0, le=1, description="Of drawing a key anew from its whole range."
    )
    factors: tuple[float, ...] = Field(
        default=(0.8, 1.2),
        min_length=1,
        description="One of them multiplies a number; a choice moves to a neighbour instead.",
    )

    @model_validator(mode="after")
    def _check_factors(self) -> Self:
        wrong = [factor for factor in self.factors if factor <= 0]
        if wrong:
            raise ValueError(f"factors multiply and must be above 0, got {wrong[0]:g}")
        return self


class Pb2Config(PopulationConfig):
    """Population Based Bandits: a Gaussian process says what to change it to; ranges only."""
