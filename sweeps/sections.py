"""The sections of a sweep file: objective, search, early stopping, resources, tracking, storage.

Each is judged by itself here; `sweeps.spec` puts them together with the space and the recipe.
"""

import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from resnet_core.duration import Duration
from resnet_core.strict import StrictModel

Metric = Literal[
    "val_accuracy", "val_loss", "val_cross_entropy", "val_top5_accuracy", "train_loss"
]  # fmt: skip
Mode = Literal["max", "min"]

_CREDENTIALS = re.compile(r"://[^/@\s]*:[^/@\s]*@")
_SIZE = {"min": "smaller", "max": "larger"}


class ObjectiveConfig(StrictModel):
    """What a trial is judged by, after the last epoch of its schedule."""

    metric: Metric = "val_accuracy"
    mode: Mode = Field(default="max", description="Follows from the metric; may be left out.")

    @model_validator(mode="before")
    @classmethod
    def _fill_mode(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("mode") is None:
            metric = data.get("metric", "")
            return {**data, "mode": "min" if str(metric).endswith("_loss") else "max"}
        return data

    @model_validator(mode="after")
    def _refuse_the_worst_as_best(self) -> Self:
        better = "min" if self.metric.endswith("_loss") else "max"
        if self.mode != better:
            raise ValueError(f"{self.metric} is better when it is {_SIZE[better]}: mode: {better}")
        return self


class SearchConfig(StrictModel):
    """How points of the space are chosen."""

    algorithm: Literal["random", "tpe"] = "tpe"
    trials: int = Field(ge=1, description="How many, trial 0 (the recipe itself) included.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Fixes what is suggested.")


class AshaConfig(StrictModel):
    """Asynchronous successive halving: at each rung only the best 1 in ``reduction_factor``."""

    grace_period: Duration = Field(description="The first rung, in whole epochs: 2ep.")
    reduction_factor: int = Field(default=3, ge=2, description="Rungs lie this factor apart.")

    @field_validator("grace_period")
    @classmethod
    def _check_whole_epochs(cls, value: Duration) -> Duration:
        if value.unit != "ep" or value.value.denominator != 1 or value.value < 1:
            raise ValueError(f"a rung lies at a whole epoch, 1ep or later, got {value}")
        return value

    @property
    def grace_epochs(self) -> int:
        """The first rung in epochs, at least 1."""
        return int(self.grace_period.value)


class EarlyStoppingConfig(StrictModel):
    """The rule that stops weak trials; there is one so far."""

    asha: AshaConfig


class ResourcesConfig(StrictModel):
    """What each trial gets, and how many run at a time."""

    workers_per_trial: int = Field(default=1, ge=1)
    gpus_per_worker: float = Field(default=0, ge=0, description="Shares too: 0.5 is half a GPU.")
    cpus_per_worker: float = Field(default=1, gt=0)
    max_concurrent_trials: int = Field(default=1, ge=1)
    reuse_workers: bool = Field(
        default=True, description="Keep worker processes from one trial to the next."
    )

    @property
    def torch_threads(self) -> int | None:
        """Threads of a worker that trains on CPUs; None, torch's own choice, on GPUs."""
        return None if self.gpus_per_worker > 0 else max(1, int(self.cpus_per_worker))

    @property
    def per_worker(self) -> dict[str, float]:
        """What one worker asks Ray for."""
        asked = {"CPU": self.cpus_per_worker, "GPU": self.gpus_per_worker}
        return {name: amount for name, amount in asked.items() if amount > 0}


class TrackingConfig(StrictModel):
    """Where MLflow keeps the runs."""

    uri: str | None = Field(default=None, description="null is sqlite:///mlflow.db.")
    experiment: str | None = Field(
        default=None, min_length=1, description="null is the sweep's name."
    )

    @field_validator("uri")
    @classmethod
    def _refuse_credentials(cls, uri: str | None) -> str | None:
        if uri is not None and _CREDENTIALS.search(uri):
            raise ValueError(
                "an address with a password in it; leave user and password out and set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment"
            )
        return uri


class StorageConfig(StrictModel):
    """Where the sweep's folder lies."""

    path: str | None = Field(default=None, min_length=1, description="null is ./results.")
