"""A user's images that bring a fault along, for ``data: {custom: {entry: faulty_images:Images}}``.

Workers import it from the sweep's folder. What it cannot do by giving an image it does by taking
the place of the optimizer step in its own process. Each image is noise drawn from its index, so
every trial of one seed trains on the same ones.
"""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_core import optimizer_step

_take = optimizer_step.OptimizerStep.take
_current: "Images | None" = None  # of the trial that this process trains


class Images:
    """48 images of 8x8 pixels and 4 classes to train on, 8 for each of the others.

    Args:
        fault: nan, oom, oom_above (micro-batches of ``at``), hang, or loader (killed); None: none.
        at: The step, from 0, before which it happens; of ``loader`` the index of the image.
        log: Each step that was taken, and when: one line each.
        once: Whether it happens a single time; its file, the log's name with ``.once`` at the end,
            says when.
        rank: Of the worker that it happens to.
    """

    num_classes = 4

    def __init__(
        self,
        fault: str | None = None,
        at: int = 0,
        log: str = os.devnull,
        once: bool = False,
        rank: int = 0,
    ) -> None:
        global _current
        self.fault, self.at, self.log, self.rank = fault, at, log, rank
        self._once = once
        setattr(optimizer_step.OptimizerStep, "take", _faulty_take)  # noqa: B010  pyright
        _current = self

    def split(self, name: str) -> "_Split":
        return _Split(self, name)

    def happens(self) -> bool:
        """Whether it is to happen now; notes that it did."""
        try:
            Path(f"{self.log}.once").open("x").close()
        except FileExistsError:
            return not self._once
        return True


class _Split:
    def __init__(self, images: Images, name: str) -> None:
        self._images, self._name = images, name
        self._num = 48 if name == "train" else 8

    def __len__(self) -> int:
        return self._num

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        images = self._images
        is_here = self._name == "train" and index == images.at
        if images.fault == "loader" and is_here and images.happens():
            os.kill(os.getpid(), signal.SIGKILL)
        generator = torch.Generator().manual_seed(index)
        pixels = torch.randint(64, (3, 8, 8), generator=generator) + 48 * (index % 4)
        return pixels.to(torch.uint8), index % 4


def _faulty_take(step: Any, images: Tensor, targets: Tensor) -> Tensor:
    faulty, now = _current, step._training.step
    rank = int(os.environ.get("RANK", "0"))
    if faulty is None or faulty.fault is None or rank != faulty.rank:
        return _take(step, images, targets)
    if faulty.fault == "oom_above" and step.micro_batch_size > faulty.at:
        raise torch.OutOfMemoryError(f"no room for {step.micro_batch_size} images")
    if now == faulty.at and faulty.fault == "oom":
        raise MemoryError("no room for anything")
    if now == faulty.at and faulty.fault == "hang" and faulty.happens():
        threading.Event().wait()
    loss = _take(step, images, targets)
    with Path(faulty.log).open("a") as log:
        log.write(f"{now} {time.time()}\n")
    return loss * float("nan") if (now, faulty.fault) == (faulty.at, "nan") else loss
