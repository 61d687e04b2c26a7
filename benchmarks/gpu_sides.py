"""Training steps on a GPU: bare, ours, and as torchvision's and timm's scripts take them.

All train the same model with fused SGD in bf16 and channels_last, compiled. But for `fit`, which
gathers and normalises each batch of images that are on the device as uint8, all are given the same
finished batch again and again. The loops are those of `benchmarks.loop_by_hand`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks import loop_by_hand
from benchmarks.loop_task import Clock, Loop, Task, Training
from resnet_core import Recipe, create_resnet, fit, train
from resnet_core.data.dataset import ImageData, Split

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 5e-5


@dataclass(frozen=True)
class Case:
    """A model and a batch.

    Attributes:
        model: Name of a member of the family.
        size_px: Side of the images.
        num_classes: Of the model.
        batch_size: Images of a step.
        device: cuda, or cpu to try it out.
        steps: That are timed.
        warmup_steps: Before them, compilation included.
        compiled: Whether through torch.compile.
    """

    model: str
    size_px: int
    num_classes: int
    batch_size: int
    device: str
    steps: int
    warmup_steps: int
    compiled: bool = True

    @property
    def total_steps(self) -> int:
        """Warm-up included."""
        return self.warmup_steps + self.steps

    @property
    def image_bytes(self) -> int:
        """Of the images of all steps."""
        return self.total_steps * self.batch_size * 3 * self.size_px**2

    @property
    def recipe(self) -> Recipe:
        """For `fit`, one epoch."""
        rates = {"learning_rate": LEARNING_RATE, "momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}
        return Recipe.model_validate(
            {
                "model": {"name": self.model, "num_classes": self.num_classes},
                "optimizer": {"sgd": rates},
                "train_batch_size": self.batch_size,
                "max_duration": f"{self.total_steps}ba",
                "data": {"fake": {"num_train": self.total_steps * self.batch_size,
                                  "image_size_px": self.size_px}},
                "methods": {"channels_last": True},
                "precision": "bf16",
                "compile": self.compiled,
            }
        )  # fmt: skip

    def images(self, count: int) -> Split:
        """Noise, uint8, made where it is needed: a data set of the host would take minutes."""
        shape = count, 3, self.size_px, self.size_px
        images = torch.randint(256, shape, dtype=torch.uint8, device=self.device)
        return Split(images, torch.randint(self.num_classes, (count,), device=self.device))

    def wait(self) -> None:
        """Until the device has nothing left to do."""
        if self.device == "cuda":
            torch.cuda.synchronize()


class Timer:
    """Images per second from the end of the warm-up to the end of the last step."""

    def __init__(self, case: Case) -> None:
        self._case, self._started, self.rate = case, 0.0, 0.0

    def done(self, step: int) -> None:
        """So many steps have been asked of the device."""
        case = self._case
        if step == case.warmup_steps:
            case.wait()
            self._started = time.perf_counter()
        elif step == case.total_steps:
            case.wait()
            self.rate = case.steps * case.batch_size / (time.perf_counter() - self._started)


class Resident:
    """One finished batch on the device, given for every step."""

    def __init__(self, case: Case, timer: Timer) -> None:
        self._case, self._timer = case, timer
        split = case.images(case.batch_size)
        scaled = split.images.float().sub_(127.5).div_(73.9)
        self._batch = scaled.to(memory_format=torch.channels_last), split.labels

    def __len__(self) -> int:
        return self._case.total_steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(len(self)):
            self._timer.done(step)
            yield self._batch
        self._timer.done(len(self))


class InBf16(nn.Module):
    """A network whose forward pass runs in bf16."""

    def __init__(self, network: nn.Module, case: Case) -> None:
        super().__init__()
        self.network = torch.compile(network, dynamic=False) if case.compiled else network
        self._device = case.device

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(self._device, torch.bfloat16):
            return self.network(images).float()


def with_loop(case: Case, loop: Loop) -> float:
    """Images per second of one of the hand-written loops."""
    timer = Timer(case)
    network: Any = create_resnet(case.model, num_classes=case.num_classes).to(case.device)
    model = InBf16(network.to(memory_format=torch.channels_last), case).to(case.device)
    optimizer = torch.optim.SGD(
        model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY, fused=True
    )
    feed: Any = Resident(case, timer)
    task = Task(case.total_steps, case.warmup_steps, batch_size=case.batch_size)
    loop(Training(task, Clock(0, 0), feed, model, optimizer))
    return timer.rate


def with_fit(case: Case) -> float:
    """Images per second of `fit`, images on the device."""
    timer = Timer(case)
    mean, std = (torch.full((3, 1, 1), value, device=case.device) for value in (127.5, 73.9))
    few, device = case.images(2), torch.device(case.device)
    images = case.images(case.total_steps * case.batch_size)
    data = ImageData(images, few, few, mean, std, case.num_classes, device)
    with mock.patch.object(train, "load_data", return_value=data):
        list(fit(case.recipe, device=device, after_step=lambda current: timer.done(current.step)))
    return timer.rate


SIDES = {
    "bare": lambda case: with_loop(case, loop_by_hand.bare),
    "fit": with_fit,
    "torchvision's reference": lambda case: with_loop(case, loop_by_hand.torchvision_reference),
    "timm's script": lambda case: with_loop(case, loop_by_hand.timm_script),
}
