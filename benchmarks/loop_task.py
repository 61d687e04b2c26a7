"""What every loop of `benchmarks.loop` trains: one tiny model, the same batches, one optimizer.

The batches are gathered from uint8 images and normalised by `Feed` in the four operations that it
takes; `resnet_core.fit` has a loader of its own that does the same. The clock stands in the feed:
it is read when a batch is asked for, so start and end of a training do not count. At each reading
a bare loop takes a step of its own, so that the two are never more than a step apart.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from resnet_core import Recipe
from resnet_core.data.dataset import Split
from resnet_core.data.section import DataConfig, FakeConfig
from resnet_core.data.sources import load_data
from resnet_core.models.classifier import ResNetClassifier
from resnet_core.models.family import ModelConfig
from resnet_core.random_streams import Stream, global_seed, torch_generator

NUM_CLASSES, IMAGE_SIZE_PX, CHANNELS, SEED = 10, 8, 8, 17
LEARNING_RATE, MOMENTUM = 0.01, 0.9
LOG_EVERY_STEPS = 50
"""Of timm's script and of Lightning; those who have a default of their own keep it."""


class TinyNet(ResNetClassifier):
    """Stem, ``depth`` layers of convolution, batch norm and ReLU, and the head."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.config = ModelConfig(name="resnet_20", num_classes=NUM_CLASSES)
        self.conv1 = nn.Conv2d(3, CHANNELS, 3, padding=1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(CHANNELS), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(2)
        layers: list[nn.Module] = []
        for _ in range(depth):
            convolution = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(CHANNELS), nn.ReLU(inplace=True)]
        self.layer1 = nn.Sequential(*layers)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(CHANNELS, NUM_CLASSES)


@dataclass(frozen=True)
class Task:
    """One training.

    Attributes:
        steps: Optimizer steps, all in one epoch.
        warmup_steps: Of these, before the clock starts.
        batch_size: Images of a step.
        num_train: Images of the data set; None is what the steps need.
        depth: Of `TinyNet`.
    """

    steps: int = 360
    warmup_steps: int = 60
    batch_size: int = 8
    num_train: int | None = None
    depth: int = 1

    @property
    def recipe(self) -> Recipe:
        """The same task for `resnet_core.fit`; its model is replaced by `TinyNet`."""
        return Recipe.model_validate(
            {
                "model": {"name": "resnet_20", "num_classes": NUM_CLASSES},
                "optimizer": {"sgd": {"learning_rate": LEARNING_RATE, "momentum": MOMENTUM}},
                "train_batch_size": self.batch_size,
                "max_duration": f"{self.steps}ba",
                "data": {"fake": self.data.model_dump()},
                "seed": SEED,
            }
        )

    @property
    def data(self) -> FakeConfig:
        """Made-up images."""
        needed = self.steps * self.batch_size
        return FakeConfig(
            num_train=max(needed, self.num_train or 0),
            num_evaluation=self.batch_size,
            image_size_px=IMAGE_SIZE_PX,
        )

    def model(self) -> TinyNet:
        """With the weights that the seed gives, in training mode."""
        with global_seed(SEED):
            return TinyNet(self.depth)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """What `resnet_core.optimizer` builds, fused as there."""
        return torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM, fused=True)


class Clock:
    """Wall and CPU time of every step between two.

    Args:
        begin_step: After it steps count.
        end_step: The last that counts.
        beside: Takes a step of a bare loop, which is timed apart, at the same moment: what else
            the machine does slows both.
    """

    def __init__(
        self, begin_step: int, end_step: int, beside: Callable[[int], object] | None = None
    ) -> None:
        self._steps, self._beside = range(begin_step, end_step + 1), beside
        self._ends: list[tuple[int, int]] = []
        self._begins: list[tuple[int, int]] = []

    def mark(self, step: int) -> None:
        """Read the clocks: so many steps are done."""
        counts = step in self._steps
        if counts:
            self._ends.append(_clocks())
        if self._beside is not None and step < self._steps.stop:
            self._beside(step)
        if counts:
            self._begins.append(_clocks())

    def microseconds(self) -> dict[str, float]:
        """Per step.

        Returns:
            ``cpu`` and ``wall`` of the median step, ``cpu_mean`` and ``wall_mean`` of all. With
            steps ``beside`` also ``bare_cpu`` and so on of those, and ``above_cpu`` and so on: of
            what each step took above the bare one before it. Not above the mean of its two
            neighbours: steps are late, never early, and a mean of two is late more often than one.

        Raises:
            RuntimeError: If the training has left a step out, or taken one twice.
        """
        if len(self._ends) != len(self._steps):
            raise RuntimeError(f"{len(self._ends)} steps were seen instead of {len(self._steps)}")
        found: dict[str, float] = {}
        for which, name in enumerate(("wall", "cpu")):
            ends = [one[which] / 1e3 for one in self._ends]
            begins = [one[which] / 1e3 for one in self._begins]
            side = [end - begin for begin, end in zip(begins, ends[1:], strict=False)]
            found |= _middle(name, side)
            if self._beside is not None:
                bare = [begin - end for end, begin in zip(ends, begins, strict=True)]
                above = [took - other for took, other in zip(side, bare, strict=False)]
                found |= _middle(f"bare_{name}", bare) | _middle(f"above_{name}", above)
        return found


def _clocks() -> tuple[int, int]:
    return time.perf_counter_ns(), time.process_time_ns()


def _middle(name: str, values: list[float]) -> dict[str, float]:
    return {name: statistics.median(values), f"{name}_mean": statistics.fmean(values)}


class Feed:
    """The batches of a task as any loop takes them: an iterable with a length, read once."""

    def __init__(self, task: Task, clock: Clock | None = None) -> None:
        self._task, self._clock = task, clock
        data = load_data(DataConfig(fake=task.data), NUM_CLASSES, torch.device("cpu"))
        assert isinstance(data.train, Split)
        self._images, self._labels = data.train.images, data.train.labels
        self._mean, self._std = data.mean, data.std
        generator = torch_generator(SEED, Stream.ORDER, 0)
        self._order = torch.randperm(len(data.train), generator=generator)

    def __len__(self) -> int:
        return self._task.steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(self._task.steps):
            yield self[step]

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        """Images, float (N, 3, H, W), and labels of a step."""
        if self._clock is not None:
            self._clock.mark(step)
        begin = step * self._task.batch_size
        indices = self._order[begin : begin + self._task.batch_size]
        images = self._images[indices].to(torch.float32).sub_(self._mean).div_(self._std)
        return images, self._labels[indices]


@dataclass
class Training:
    """A task about to be run by one of the loops; every call of a loop gets a new one."""

    task: Task
    clock: Clock
    feed: Feed
    model: nn.Module
    optimizer: torch.optim.Optimizer

    @classmethod
    def of(cls, task: Task, beside: Callable[[int], object] | None = None) -> "Training":
        """With new weights, and a clock as `Clock` describes."""
        # Loops that fetch a batch ahead do so at both marks.
        clock = Clock(task.warmup_steps, task.steps - 1, beside)
        model = task.model()
        return cls(task, clock, Feed(task, clock), model, task.optimizer(model))


Loop = Callable[[Training], dict[str, Any]]
"""Trains to the end; returns what it has tracked: ``loss``, ``top1``, as far as it does."""
