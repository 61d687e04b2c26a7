"""What a sweep will take, before anything starts: trials, epochs, models, memory, disk, hours.

Nothing is trained unless hours are asked for: then a few steps of the recipe and of the least and
the most expensive model, in this process. Needs torch, and no Ray.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from sweeps.home import storage_root
from sweeps.object_store import is_address, join
from sweeps.planning.epochs import brackets, expected_training, longest_training, num_epochs
from sweeps.planning.footprint import Memory, checkpoint_bytes, worker_memory
from sweeps.planning.hours import Hours, calibrated
from sweeps.planning.points import Point, sample
from sweeps.population.config import PopulationConfig
from sweeps.spec import Sweep, SweepSpec
from sweeps.sweep_checks import whole_epochs

KEPT_CHECKPOINTS = 2
"""Of each schedule that is trained: the newest and the best."""


@dataclass(frozen=True)
class Figure:
    """A figure of the recipe, and the lowest and highest of the space, the recipe included."""

    recipe: float
    low: float
    high: float


@dataclass(frozen=True)
class Disk:
    """Space for checkpoints.

    Attributes:
        path: Where the sweep's folder will be, or its address.
        needed_bytes: At most, if every model were the largest; None if the number of trials is
            not known.
        free_bytes: There now; None in an object store.
    """

    path: str
    needed_bytes: int | None
    free_bytes: int | None

    @property
    def is_short(self) -> bool:
        """Whether the space may not be enough, as far as is known."""
        if self.needed_bytes is None or self.free_bytes is None:
            return False
        return self.needed_bytes > self.free_bytes


@dataclass(frozen=True)
class Plan:
    """See the module; numbers are None where they cannot be known, and ``notes`` say why.

    Attributes:
        name: Of the sweep.
        algorithm: Of the search.
        num_trials: Trial 0 included.
        rule: Of early stopping; None stops nothing.
        fidelity: stretch or truncate.
        rungs: In epochs, of trials as long as the recipe; of Hyperband those of its first bracket.
        recipe_epochs: Of the recipe's schedule.
        epochs_at_most: Of all trials, were none stopped, confirmation included.
        epochs_expected: About, with early stopping; schedules that start afresh count in full.
        confirmation_trainings: Of the best trials and the recipe, with fresh seeds.
        num_train: Training images.
        num_models: Distinct models in the space, as far as points of it were drawn.
        num_models_counted: Those that the ranges are of.
        parameters: That are trained.
        forward_flops: Per image.
        training_flops: Per image, forward and backward.
        memory_bytes: Of one worker's tensors, at the height of a step.
        recipe_memory: The recipe's by part.
        checkpoint_bytes: Of one checkpoint.
        disk: For checkpoints.
        violating_ratio: Share of the space that constraints refuse; None without constraints.
        budget: The limits that are set.
        hours: After a calibration.
        notes: What the reader should know.
    """

    name: str
    algorithm: str
    num_trials: int | None
    rule: str | None
    fidelity: str | None
    rungs: list[int]
    recipe_epochs: int | None
    epochs_at_most: float | None
    epochs_expected: float | None
    confirmation_trainings: int
    num_train: int | None
    num_models: int
    num_models_counted: int
    parameters: Figure
    forward_flops: Figure
    training_flops: Figure
    memory_bytes: Figure
    recipe_memory: dict[str, int]
    checkpoint_bytes: Figure
    disk: Disk
    violating_ratio: float | None
    budget: dict[str, Any]
    hours: Hours | None = None
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return asdict(self)


def planned_rungs(spec: SweepSpec, num_epochs: int, recipe_epochs: int | None = None) -> list[int]:
    """Epochs at which a trial is compared with others before its schedule ends.

    Args:
        spec: Of the sweep; of its rules only asha and hyperband plan rungs.
        num_epochs: Of the trial's whole schedule.
        recipe_epochs: Of trial 0's, if that is another.
    """
    return list(brackets(spec.early_stopping, num_epochs, recipe_epochs or num_epochs)[0][1])


def plan_sweep(
    sweep: Sweep, *, calibrate: bool = False, on_progress: Callable[[str], object] = lambda _: None
) -> Plan:
    """Work out what a sweep will take.

    Args:
        sweep: As `load_sweep` gives it.
        calibrate: Train a few steps for the hours.
        on_progress: Told what is being calibrated.

    Raises:
        CannotCalibrate: If the recipe cannot be trained on this machine.
        CannotTrain: If it cannot be trained at all.
        OSError: If the data to calibrate with cannot be read.
    """
    spec, notes = sweep.spec, []
    points = sample(sweep)
    recipe, in_range, typical = points.recipe, points.in_range, points.typical
    if points.violating_ratio == 1:
        notes.append("no point that was drawn satisfies the constraints; ranges are the recipe's")
    if points.num_models > points.num_counted:
        notes.append(f"ranges are of {points.num_counted} of the {points.num_models} models drawn")
    hours_of, num_train = None, sweep.recipe.data and sweep.recipe.data.num_train
    if calibrate:
        hours_of = calibrated(spec, recipe, in_range, notes, on_progress)
        num_train = hours_of.num_train
    elif num_train is None:
        notes.append(
            "the number of training images is not known before they are loaded, which --calibrate "
            "does"
        )
    if sweep.num_trials is None:
        notes.append("the budget ends the sweep, so the number of trials is not known")
    if (tried := sweep.num_points) is not None and (sweep.num_trials or 0) > tried + 1:
        notes.append(
            f"the space has {tried:,} points, fewer than the trials: the sweep ends when all were "
            "tried"
        )
    if spec.early_stopping is not None and spec.early_stopping.rule_name == "median":
        notes.append("how many trials median stops depends on their curves; counted as none")
    epochs = _Epochs(sweep, typical, num_train)
    disk = _disk(sweep, epochs, max(_checkpoint(point) for point in in_range))
    if disk.is_short:
        notes.append(f"the checkpoints may not fit into {disk.path}")
    memory = _memory(spec, recipe)
    return Plan(
        name=spec.name,
        algorithm=spec.search.algorithm,
        num_trials=sweep.num_trials,
        rule=None if spec.early_stopping is None else spec.early_stopping.rule_name,
        fidelity=_fidelity(spec),
        rungs=planned_rungs(spec, epochs.of_recipe or 0, whole_epochs(sweep.recipe)),
        recipe_epochs=epochs.of_recipe,
        epochs_at_most=epochs.total(at_most=True),
        epochs_expected=epochs.total(at_most=False),
        confirmation_trainings=epochs.num_confirmations,
        num_train=num_train,
        num_models=points.num_models,
        num_models_counted=points.num_counted,
        parameters=_figure(in_range, lambda point: point.cost.parameters),
        forward_flops=_figure(in_range, lambda point: point.cost.forward_flops),
        training_flops=_figure(in_range, lambda point: point.cost.training_flops),
        memory_bytes=_figure(in_range, lambda point: _memory(spec, point).total),
        recipe_memory=asdict(memory),
        checkpoint_bytes=_figure(in_range, _checkpoint),
        disk=disk,
        violating_ratio=points.violating_ratio,
        budget=spec.budget.model_dump(mode="json", exclude_none=True),
        hours=None if hours_of is None else hours_of.total(sweep, typical),
        notes=notes,
    )


class _Epochs:
    """Epochs and schedules of the sweep, over points as random search would draw them."""

    def __init__(self, sweep: Sweep, points: list[Point], num_train: int | None) -> None:
        self._stopping, self._num_trials = sweep.spec.early_stopping, sweep.num_trials
        self.of_recipe = num_epochs(sweep.recipe, num_train)
        self._lengths = [num_epochs(point.recipe, num_train) for point in points]
        self._grace = whole_epochs(sweep.recipe)
        is_population = not _lets_go_on_the_way(sweep.spec)
        self._keep_best = None if is_population else sweep.spec.storage.keep_best
        confirm = sweep.spec.confirm
        self._seeds, self._top_k = (confirm.seeds, confirm.top_k) if confirm else (0, 0)
        self.num_confirmations = self._seeds * (1 + self._top_k)

    def total(self, *, at_most: bool) -> float | None:
        """Of all trials and the confirmation; None if their number or their length is unknown."""
        known = [length for length in self._lengths if length is not None]
        if self._num_trials is None or self.of_recipe is None or len(known) < len(self._lengths):
            return None
        others = self._num_trials - 1
        whole = max(known) if at_most else sum(known) / len(known)
        each = [self._one(length, others, at_most) for length in known]
        one = max(each) if at_most else sum(each) / len(each)
        confirmed = self._seeds * (self.of_recipe + self._top_k * whole)
        return self.of_recipe + others * one + confirmed

    def _one(self, length: int, others: int, at_most: bool) -> float:
        if at_most:
            return longest_training(self._stopping, length, self._grace).epochs
        return expected_training(self._stopping, length, self._grace, others).epochs

    def num_kept(self) -> float | None:
        """Trainings that have checkpoints in the end; those that run come on top of them."""
        if self._num_trials is None:
            return None
        others = self._num_trials - 1
        lengths = [length for length in self._lengths if length is not None] or [1]
        each = [
            expected_training(self._stopping, length, self._grace, others).kept
            for length in lengths
        ]
        kept = others * max(each)
        if self._keep_best is not None:
            kept = min(kept, max(self._keep_best, self._top_k))
        return 1 + kept + self.num_confirmations


def _figure(points: list[Point], value: Callable[[Point], float]) -> Figure:
    values = [value(point) for point in points]
    return Figure(values[0], min(values), max(values))


def _memory(spec: SweepSpec, point: Point) -> Memory:
    return worker_memory(point.recipe, point.cost, spec.resources.min_workers)


def _checkpoint(point: Point) -> int:
    data = point.recipe.data
    num_train = 0 if data is None else data.num_train or 0
    return checkpoint_bytes(point.recipe, point.cost, num_train // point.recipe.train_batch_size)


def _disk(sweep: Sweep, epochs: _Epochs, largest: int) -> Disk:
    kept = epochs.num_kept()
    needed = None if kept is None else round(kept * KEPT_CHECKPOINTS * largest)
    given = sweep.spec.storage.path
    if given is not None and is_address(given):
        return Disk(join(given, sweep.spec.name), needed, None)
    path = storage_root(given)
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    return Disk(str(path / sweep.spec.name), needed, shutil.disk_usage(there).free)


def _lets_go_on_the_way(spec: SweepSpec) -> bool:
    """Whether checkpoints that nobody wants are removed before the sweep ends: `retention`."""
    stopping = spec.early_stopping
    return stopping is None or not isinstance(stopping.rule, PopulationConfig)


def _fidelity(spec: SweepSpec) -> str | None:
    if spec.early_stopping is None:
        return None
    return "stretch" if spec.early_stopping.stretches else "truncate"
