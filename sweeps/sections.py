"""The sections of a sweep file: objective, search, budget, resources, confirm, tracking, storage.

Each is judged by itself here; `sweeps.spec` puts them together with the space and the recipe.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from resnet_core.credentials import holds_credentials
from resnet_core.duration import Duration, WallClock
from resnet_core.strict import StrictModel
from sweeps.names import check_name
from sweeps.object_store import check_address, is_address

Metric = Literal[
    "val_accuracy", "val_loss", "val_cross_entropy", "val_top5_accuracy", "train_loss"
]  # fmt: skip
Mode = Literal["max", "min"]
Cost = Literal["training_seconds", "parameters", "flops", "training_flops"]
Algorithm = Literal["random", "grid", "tpe", "gp", "cmaes", "qmc", "nsga2"]

Count = Annotated[int, Field(ge=1)]

_FINEST = 0.0001  # of a CPU or a GPU, to Ray

_SIZE = {"min": "smaller", "max": "larger"}


class ObjectiveConfig(StrictModel):
    """What a trial is judged by, after the last epoch of its schedule."""

    metric: Metric = "val_accuracy"
    mode: Mode = Field(default="max", description="Follows from the metric; may be left out.")
    against: tuple[Cost, ...] = Field(
        default=(),
        description="What should be small besides: the answer is then a Pareto set. FLOPs are per "
        "image, forward; training_flops forward and backward.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_mode(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("mode") is None:
            return {**data, "mode": _better(str(data.get("metric", "")))}
        return data

    @field_validator("against")
    @classmethod
    def _refuse_repetition(cls, against: tuple[Cost, ...]) -> tuple[Cost, ...]:
        if len(set(against)) < len(against):
            raise ValueError(f"names a cost twice: {', '.join(against)}")
        return against

    @model_validator(mode="after")
    def _refuse_the_worst_as_best(self) -> Self:
        better = _better(self.metric)
        if self.mode != better:
            raise ValueError(f"{self.metric} is better when it is {_SIZE[better]}: mode: {better}")
        return self


def _better(metric: str) -> Mode:
    return "min" if metric.endswith(("_loss", "_cross_entropy")) else "max"


class SearchConfig(StrictModel):
    """How points of the space are chosen."""

    algorithm: Algorithm = "tpe"
    trials: int | None = Field(
        default=None,
        ge=1,
        description="How many, trial 0 (the recipe itself) included; null: what budget says, or "
        "the whole grid.",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="Fixes what is suggested.")


class BudgetConfig(StrictModel):
    """When no trial is started any more; what runs then is finished."""

    trials: int | None = Field(default=None, ge=1, description="As search.trials.")
    gpu_hours: float | None = Field(default=None, gt=0)
    cpu_hours: float | None = Field(default=None, gt=0)
    wall_clock: WallClock | None = Field(default=None, description="Over all drivers together.")
    target: float | None = Field(
        default=None, description="Of the objective, after a whole schedule."
    )
    no_improvement: int | None = Field(
        default=None, ge=1, description="Trials in a row that were no better than the best before."
    )


class ConfirmConfig(StrictModel):
    """Training the best trials and the recipe again, with fresh seeds that they share."""

    top_k: int = Field(default=2, ge=1, description="Trials, the recipe not counted.")
    seeds: int = Field(default=3, ge=2, le=100, description="Trainings of each.")


class ResourcesConfig(StrictModel):
    """What each trial gets, and how many run at a time."""

    workers_per_trial: Count | tuple[Count, Count] = Field(
        default=1,
        description="[4, 8]: as many of these as there is room for, and the batch stays the same.",
    )
    gpus_per_worker: float = Field(default=0, ge=0, description="Shares too: 0.5 is half a GPU.")
    share_gpus: bool = Field(
        default=False,
        description="Measure how many trials at a time a GPU trains fastest, and let as many share "
        "each.",
    )
    cpus_per_worker: float = Field(default=1, ge=_FINEST)
    max_concurrent_trials: Count | Literal["auto"] = Field(
        default=1, description="auto: as many as fit into the cluster."
    )
    reuse_workers: bool = Field(
        default=True, description="Keep worker processes from one trial to the next."
    )
    hang_timeout: WallClock | None = Field(
        default=Duration.parse("10min"),
        description="A worker that takes longer from one batch to the next has hung, and is ended; "
        "null: never.",
    )

    @field_validator("gpus_per_worker")
    @classmethod
    def _refuse_dust(cls, gpus: float) -> float:
        if 0 < gpus < _FINEST:
            raise ValueError(f"must be 0 or at least {_FINEST}, the finest share that Ray knows")
        return gpus

    @field_validator("workers_per_trial")
    @classmethod
    def _refuse_inverted(cls, workers: int | tuple[int, int]) -> int | tuple[int, int]:
        if isinstance(workers, tuple) and workers[0] > workers[1]:
            raise ValueError(f"the bounds are inverted; write [{workers[1]}, {workers[0]}]")
        return workers

    @property
    def min_workers(self) -> int:
        """The fewest of a trial."""
        return min(self._bounds)

    @property
    def max_workers(self) -> int:
        """The most of a trial."""
        return max(self._bounds)

    @property
    def is_elastic(self) -> bool:
        """Whether the number may change, from trial to trial and within one."""
        return self.min_workers < self.max_workers

    @property
    def _bounds(self) -> tuple[int, ...]:
        workers = self.workers_per_trial
        return (workers,) if isinstance(workers, int) else workers

    @property
    def hang_seconds(self) -> float | None:
        """``hang_timeout`` in seconds."""
        return None if self.hang_timeout is None else self.hang_timeout.seconds

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
    experiment: str | None = Field(default=None, description="null is the sweep's name.")
    register_winner: bool = Field(
        default=True, description="As a model that loads, under the sweep's name, when it ends."
    )
    figures: bool = Field(
        default=True, description="The report's, as PNG, when it ends; needs Chrome or Chromium."
    )

    @field_validator("experiment")
    @classmethod
    def _check_experiment(cls, experiment: str | None) -> str | None:
        return None if experiment is None else check_name(experiment)

    @field_validator("uri", mode="before")
    @classmethod
    def _refuse_credentials(cls, uri: Any) -> Any:
        if holds_credentials(uri):
            raise ValueError(
                "an address with a password in it; leave user and password out and set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment"
            )
        return uri


class StorageConfig(StrictModel):
    """Where the sweep's folder lies, and how often it is written to."""

    path: str | None = Field(default=None, min_length=1, description="null is ./results.")
    checkpoint_share: float = Field(
        default=0.02,
        gt=0,
        le=1,
        description="Of a trial's time that writing checkpoints may take. What was trained since "
        "the last one is trained again after a crash; 1 writes every epoch.",
    )
    keep_best: int | None = Field(
        default=10,
        ge=1,
        description="Ended trials that keep their checkpoints, beside the recipe; null: all.",
    )

    @field_validator("path")
    @classmethod
    def _check_address(cls, path: str | None) -> str | None:
        return check_address(path) if path is not None and is_address(path) else path
