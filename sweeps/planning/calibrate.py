"""How long a recipe takes here: a few of its real steps, timed in this process; writes nothing.

The steps are those that a worker takes, from the loader to the optimizer. Left out are the first
ones, in which memory is claimed and kernels are chosen.
"""

import hashlib
import io
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch

from resnet_core.data.dataset import ImageData, Split, StreamedSplit
from resnet_core.data.loader import TrainLoader
from resnet_core.data.packed.images import PackedImages
from resnet_core.data.sources import load_data
from resnet_core.evaluate import evaluate_together, named_data
from resnet_core.micro_batch import largest_that_fits
from resnet_core.optimizer import set_learning_rate
from resnet_core.optimizer_step import OptimizerStep
from resnet_core.precision import tf32
from resnet_core.problems import CannotTrain
from resnet_core.recipe import Recipe
from resnet_core.train_batch import Preparation
from resnet_core.training import Training
from sweeps.planning.timing import Span, Timing

WARM_UP_STEPS = 3
TIMED_STEPS = 12
_BLOCKS = 3
_LONGEST_SECONDS = 60.0
"""After so long no further step is begun; the ones that ended are then what was measured."""

_NO_RATE = 1e-12
"""Steps at any other learning rate take as long; this one cannot diverge in them."""


class CannotCalibrate(RuntimeError):
    """The recipe cannot be timed on this machine; says what is missing."""


def measure(
    recipe: Recipe,
    *,
    num_workers: int,
    device: torch.device,
    threads: int | None,
    needed_bytes: int = 0,
) -> Timing:
    """Train, evaluate and serialise a recipe for a few steps as one of its workers would.

    The exchange of gradients between workers is not part of it. Data is read, and downloaded where
    it is missing, as the training would; nothing else is written.

    Args:
        recipe: What to time, with growing images at sizes spread over the training.
        num_workers: That share each batch.
        device: Where to train.
        threads: Of torch; None leaves them as they are.
        needed_bytes: An estimate of the worker's memory; 0 skips the comparison with what is free.

    Raises:
        CannotCalibrate: If less memory is free than is needed, or it runs out.
        CannotTrain: If the recipe names no data, or its batch does not split over the workers.
        OSError: If data cannot be read.
        ImportError: If a user's source is not there.
    """
    free = free_bytes(device)
    if free is not None and needed_bytes > free:
        raise CannotCalibrate(
            f"it needs about {needed_bytes / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free "
            f"on {device}; calibrate on a larger machine, or set micro_batch_size"
        )
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return _measure(recipe, num_workers, device)
    except torch.OutOfMemoryError as error:
        raise CannotCalibrate(
            f"it ran out of memory on {device}; calibrate on a larger machine, or set "
            "micro_batch_size"
        ) from error
    finally:
        torch.set_num_threads(before)
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _measure(recipe: Recipe, num_workers: int, device: torch.device) -> Timing:
    data = load_data(named_data(recipe), recipe.model.num_classes, device)
    share = recipe.share_of_batch(num_workers)
    loader = _loader(recipe, data, num_workers)
    total_steps = recipe.total_steps(loader.steps_per_epoch)
    training = Training.begin(
        recipe, device, steps_per_epoch=loader.steps_per_epoch, total_steps=total_steps
    )
    set_learning_rate(training.optimizer, _NO_RATE)
    micro_batch_size = recipe.micro_batch_size or share
    if micro_batch_size == "auto":
        micro_batch_size = largest_that_fits(training, share)
    step = OptimizerStep(training, micro_batch_size)
    prepare = Preparation(recipe, data, total_steps=total_steps)
    warm_up, timed = WARM_UP_STEPS, TIMED_STEPS
    if not _is_in_memory(data, recipe):  # each process may have brought forward two batches
        warm_up += recipe.num_loader_processes
        timed = max(timed, 4 * recipe.num_loader_processes)
    with tf32(allowed=recipe.tf32), closing(loader.batches(0, warm_up + timed)) as batches:
        training.model.train()

        def take(number: int) -> None:
            at = number * (total_steps - 1) // max(1, timed - 1) if number >= 0 else 0
            step.take(*prepare(next(batches), min(at, total_steps - 1)))

        seconds = _timed(take, warm_up, timed, device)
    return Timing(
        step_seconds=_span(seconds) * (1 / share),
        evaluation_seconds=_evaluation_seconds(training, data, share),
        checkpoint_seconds=_checkpoint_seconds(training),
        num_train=len(data.train),
        num_validation=len(data.validation),
    )


def _loader(recipe: Recipe, data: ImageData, num_workers: int) -> TrainLoader:
    config = named_data(recipe)
    if recipe.train_batch_size > len(data.train):
        raise CannotTrain(
            f"train_batch_size {recipe.train_batch_size} is more than the {len(data.train)} "
            f"training images of data.{config.chosen[0]}"
        )
    return TrainLoader(
        data,
        batch_size=recipe.train_batch_size,
        seed=recipe.seed,
        rank=0,
        num_workers=num_workers,
        settings=config.chosen[1],
        methods=recipe.methods,
        train_px=recipe.image_size_px,
        num_processes=recipe.num_loader_processes,
    )


def _is_in_memory(data: ImageData, recipe: Recipe) -> bool:
    return isinstance(data.train, Split) and not recipe.methods.changes_single_images


def _timed(
    take: Callable[[int], None], warm_up: int, timed: int, device: torch.device
) -> list[float]:
    """Seconds of the steps 0 to ``timed`` - 1, after as many below 0 as warm up."""
    seconds: list[float] = []
    began = time.perf_counter()
    for number in range(-warm_up, timed):
        out_of_time = time.perf_counter() - began > _LONGEST_SECONDS
        if out_of_time and seconds:
            break
        if out_of_time and number < 0:
            continue  # one timed step is still owed
        with _stopwatch(device) as passed:
            take(number)
        if number >= 0:
            seconds.append(passed())
    return seconds


def _span(seconds: list[float]) -> Span:
    """The mean, between the means of the fastest and the slowest of a few blocks in a row.

    Blocks rather than single steps: a recipe may have two kinds of steps, as with SAM.
    """
    size = math.ceil(len(seconds) / _BLOCKS)
    blocks = [fmean(seconds[at : at + size]) for at in range(0, len(seconds), size)]
    return Span(min(blocks), fmean(seconds), max(blocks))


def _evaluation_seconds(training: Training, data: ImageData, share: int) -> float:
    """Per image, of as many validation images as a few training steps have."""
    recipe = training.recipe
    num_images = min(len(data.validation), max(64, 4 * share))
    few = replace(data, validation=_first(data.validation, num_images))
    models = [training.evaluated_model, training.model][: 1 if training.ema is None else 2]
    evaluate_together(recipe, models, few, "validation")
    with _stopwatch(data.device) as passed:
        evaluate_together(recipe, models, few, "validation")
    return passed() / num_images


def _first(split: Split | StreamedSplit, num_images: int) -> Split | StreamedSplit:
    if isinstance(split, Split):
        return Split(split.images[:num_images], split.labels[:num_images])
    if isinstance(split.dataset, PackedImages):  # which are evaluated in batches
        return replace(split, dataset=split.dataset.part(slice(num_images)))
    return replace(split, dataset=torch.utils.data.Subset(split.dataset, range(num_images)))  # pyright: ignore[reportArgumentType]


def _checkpoint_seconds(training: Training) -> float:
    with _stopwatch(training.epoch_log.device) as passed:
        models = [training.model] if training.ema is None else [training.model, training.ema.model]
        for stateful in (*models, training.optimizer):
            written = io.BytesIO()
            torch.save(stateful.state_dict(), written)
            hashlib.sha256(written.getbuffer())
    return passed()


@contextmanager
def _stopwatch(device: torch.device) -> Iterator[Callable[[], float]]:
    """Seconds that the block takes, what it started on the device included."""
    ended = 0.0
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    yield lambda: ended - began
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    ended = time.perf_counter()


def free_bytes(device: torch.device) -> int | None:
    """Memory that a process can have on this device; None where it cannot be told."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = re.search(r"MemAvailable: +(\d+) kB", _text("/proc/meminfo"))
    machine = None if found is None else int(found[1]) * 1024
    limit = _text("/sys/fs/cgroup/memory.max")  # of a container; "max" is none
    if limit.isdecimal():
        return int(limit) if machine is None else min(machine, int(limit))
    return machine


def _text(file: str) -> str:
    """What a file of Linux's holds; nothing where there is none."""
    try:
        return Path(file).read_text().strip()
    except OSError:
        return ""
