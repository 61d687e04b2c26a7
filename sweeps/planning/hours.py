"""Hours of a sweep, from a few timed steps of the recipe and of the space's two extreme models."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import torch

from resnet_core.problems import CannotTrain
from resnet_core.recipe import Recipe
from sweeps.elastic import worker_counts
from sweeps.loader_processes import with_loader_processes
from sweeps.planning.calibrate import CannotCalibrate, measure
from sweeps.planning.epochs import expected_training, longest_training, num_epochs
from sweeps.planning.footprint import worker_memory
from sweeps.planning.points import Point
from sweeps.planning.timing import Span, Timing, interpolated
from sweeps.sections import ResourcesConfig
from sweeps.spec import Sweep, SweepSpec
from sweeps.spending import hours_per_worker_second
from sweeps.sweep_checks import whole_epochs

_FASTER, _SLOWER = 0.7, 1.4
"""By how much a whole training may differ from a few of its steps, the spread of these apart: on
two cores that others used as well, trainings took 0.72 to 1.4 times what their steps had said."""


@dataclass(frozen=True)
class Hours:
    """Estimated from what was measured; ``mid`` with early stopping, ``high`` without any.

    Attributes:
        device: That was measured on: cpu or cuda.
        recipe: Wall-clock hours of the recipe's training.
        trial: Of the mean trial, with early stopping; ``high`` is a whole one.
        slots: Trials at a time.
        wall_clock: Hours of the sweep, starting Ray and its workers not counted; None if the number
            of trials is not known.
        cost: In ``cost_unit``; None likewise.
        cost_unit: gpu_hours, or cpu_hours where workers have no GPU.
        num_trials_in_budget: That the limits on hours and wall_clock allow, about, the confirmation
            apart; None without such limits.
    """

    device: str
    recipe: Span
    trial: Span
    slots: int
    wall_clock: Span | None
    cost: Span | None
    cost_unit: str
    num_trials_in_budget: int | None


@dataclass(frozen=True)
class Calibration:
    """Timings of a few models by their training FLOPs per image."""

    device: torch.device
    timings: list[tuple[float, Timing]]
    own_flops: float

    @property
    def num_train(self) -> int:
        """Training images of the recipe."""
        return interpolated(self.timings, self.own_flops).num_train

    def total(self, sweep: Sweep, points: list[Point]) -> Hours:
        """Hours of the sweep.

        Args:
            sweep: What is planned.
            points: As random search would draw them.
        """
        spec, stopping = sweep.spec, sweep.spec.early_stopping
        resources, grace = spec.resources, whole_epochs(sweep.recipe)
        others = None if sweep.num_trials is None else sweep.num_trials - 1
        expected, whole, whole_once = [], [], []
        for point in points:
            epoch = self._epoch(point.recipe, point.cost.training_flops, resources)
            length = num_epochs(point.recipe, self.num_train) or 1
            stopped = expected_training(stopping, length, grace, others).epochs
            longest = longest_training(stopping, length, grace).epochs
            expected.append(_limited(epoch * stopped, epoch, point.recipe))
            whole.append(_limited(epoch * longest, epoch, point.recipe))
            whole_once.append(_limited(epoch * length, epoch, point.recipe))
        own_epoch = self._epoch(sweep.recipe, self.own_flops, resources)
        own_length = num_epochs(sweep.recipe, self.num_train) or 1
        own = _limited(own_epoch * own_length, own_epoch, sweep.recipe)
        trial = Span(_mean(expected).low, _mean(expected).mid, _mean(whole).high)
        cost_rate = hours_per_worker_second(resources) * resources.max_workers
        slots = _slots(resources)
        confirm = spec.confirm
        confirmed = Span(0, 0, 0)
        if confirm is not None:
            confirmed = (own + _mean(whole_once) * confirm.top_k) * confirm.seeds
        in_budget = _num_trials_in_budget(spec, own + confirmed, trial, cost_rate, slots)
        seconds = None if others is None else own + trial * others + confirmed
        wall = None
        if seconds is not None:
            at_a_time = min(slots, sweep.num_trials or slots)
            shared = seconds * (1 / at_a_time)
            wall = Span(*(max(pair) / 3600 for pair in zip(_of(shared), _of(own), strict=True)))
        return Hours(
            device=self.device.type,
            recipe=own * (1 / 3600),
            trial=trial * (1 / 3600),
            slots=slots,
            wall_clock=wall,
            cost=None if seconds is None else seconds * cost_rate,
            cost_unit="gpu_hours" if resources.gpus_per_worker else "cpu_hours",
            num_trials_in_budget=in_budget,
        )

    def _epoch(self, recipe: Recipe, flops: float, resources: ResourcesConfig) -> Span:
        timing = interpolated(self.timings, flops)
        epoch = timing.epoch_seconds(recipe.train_batch_size, resources.max_workers)
        epoch = Span(epoch.low * _FASTER, epoch.mid, epoch.high * _SLOWER)
        if 0 < resources.gpus_per_worker < 1:  # trials that share a GPU may take turns on it
            return Span(epoch.low, epoch.mid, epoch.high / resources.gpus_per_worker)
        return epoch


def calibrated(
    spec: SweepSpec,
    recipe: Point,
    points: list[Point],
    notes: list[str],
    on_progress: Callable[[str], object],
) -> Calibration:
    """Time the recipe, and the models of the space with the fewest and the most training FLOPs.

    Args:
        spec: Of the sweep.
        recipe: Trial 0.
        points: Of the space.
        notes: Gets why an extreme model was not timed.
        on_progress: Told what is being timed.

    Raises:
        CannotCalibrate: If there is no GPU where the sweep needs one, or too little memory.
        CannotTrain: If the recipe cannot be trained.
        OSError: If data cannot be read.
    """
    resources = spec.resources
    device = torch.device("cpu")
    if resources.gpus_per_worker > 0:
        if not torch.cuda.is_available():
            raise CannotCalibrate(
                "the sweep trains on GPUs and this process has none; calibrate where it will run, "
                "or set resources.gpus_per_worker=0"
            )
        device = torch.device("cuda")

    def time_of(point: Point, what: str) -> tuple[float, Timing]:
        on_progress(f"timing {what} ({point.recipe.model.name}) on {device}")
        num_workers = worker_counts(point.recipe, resources)[-1]
        timing = measure(
            with_loader_processes(point.recipe, resources),
            num_workers=num_workers,
            device=device,
            threads=resources.torch_threads,
            needed_bytes=worker_memory(point.recipe, point.cost, num_workers).total,
        )
        return point.cost.training_flops, timing

    timings = [time_of(recipe, "the recipe")]
    ends = {
        "the least expensive model": min(points, key=lambda point: point.cost.training_flops),
        "the most expensive model": max(points, key=lambda point: point.cost.training_flops),
    }
    for what, point in ends.items():
        if point.cost.training_flops == recipe.cost.training_flops:
            continue
        try:
            timings.append(time_of(point, what))
        except (CannotCalibrate, CannotTrain) as error:
            notes.append(f"{what}, {point.recipe.model.name}, was not timed: {error}")
    timings.sort(key=lambda timing: timing[0])
    return Calibration(device, timings, recipe.cost.training_flops)


def _limited(training: Span, epoch: Span, recipe: Recipe) -> Span:
    """No training goes on after the epoch in which its time limit passes."""
    if recipe.time_limit is None:
        return training
    limit = recipe.time_limit.seconds
    pairs = zip(_of(training), _of(epoch), strict=True)
    return Span(*(min(seconds, limit + one) for seconds, one in pairs))


def _num_trials_in_budget(
    spec: SweepSpec, fixed: Span, trial: Span, cost_rate: float, slots: int
) -> int | None:
    """Trial 0 included; at least that one is trained."""
    budget = spec.budget
    hours = budget.gpu_hours or budget.cpu_hours
    seconds = [] if hours is None else [hours / cost_rate]
    if budget.wall_clock is not None:
        seconds.append(budget.wall_clock.seconds * slots)
    if not seconds:
        return None
    return 1 + max(0, int((min(seconds) - fixed.mid) / trial.mid))


def _slots(resources: ResourcesConfig) -> int:
    """Trials at a time; ``auto``, where there is no cluster to ask, is what fits this machine."""
    if resources.max_concurrent_trials != "auto":
        return resources.max_concurrent_trials
    workers = int((os.cpu_count() or 1) / resources.cpus_per_worker)
    if resources.gpus_per_worker > 0:
        gpus, share = torch.cuda.device_count(), resources.gpus_per_worker
        workers = min(workers, gpus * int(1 / share) if share < 1 else int(gpus / share))
    return max(1, workers // resources.max_workers)


def _mean(spans: list[Span]) -> Span:
    return Span(*(fmean(values) for values in zip(*map(_of, spans), strict=True)))


def _of(span: Span) -> tuple[float, float, float]:
    return span.low, span.mid, span.high
