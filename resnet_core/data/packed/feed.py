"""Batches of packed images: records gathered ahead by a thread, cut and resized on the device."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resnet_core.data.crops import (
    crop_draws,
    in_record,
    middle_boxes,
    mirrored,
    random_boxes,
)
from resnet_core.data.packed.images import PackedImages
from resnet_core.data.packed.resample import cut_out
from resnet_core.methods.section import ResolutionConfig

_NUM_AHEAD = 2


@dataclass(frozen=True)
class Cut:
    """What a batch is made of.

    Attributes:
        indices: Of its images, int64 (n,).
        boxes: Of each image, in pixels of its record, float32 (n, 4), as `cut_out` takes them.
    """

    indices: np.ndarray
    boxes: np.ndarray


def training_cut(
    images: PackedImages, indices: np.ndarray, own: slice, *, seed: int, step: int
) -> Cut:
    """A worker's share of a global batch, with random boxes, each mirrored or not.

    Args:
        images: That it is of.
        indices: Of the share, int64 (n,).
        own: Its places in the global batch.
        seed: As for `crop_draws`.
        step: Likewise.
    """
    draws, sizes = crop_draws(own, seed=seed, step=step), images.sizes[indices]
    boxes = mirrored(random_boxes(sizes, draws), draws)
    return Cut(indices, in_record(boxes, sizes, images.layout.size_px))


def evaluation_cut(images: PackedImages, indices: np.ndarray, resolution: ResolutionConfig) -> Cut:
    """Images as evaluation looks at them: the shorter side resized, the middle cut out."""
    sizes = images.sizes[indices]
    boxes = middle_boxes(sizes, size_px=resolution.evaluation_px, crop_ratio=resolution.crop_ratio)
    return Cut(indices, in_record(boxes, sizes, images.layout.size_px))


def feed(
    images: PackedImages, cuts: Iterator[Cut], *, batch_size: int, size_px: int,
    device: torch.device,
) -> Generator[tuple[Tensor, Tensor]]:  # fmt: skip
    """Images, uint8 (n, 3, size_px, size_px), and labels, int64 (n,), on the device.

    While a batch is trained on, a thread gathers the next ones and, on a GPU, copies them there on
    a stream of its own. The thread ends when the generator is used up or closed.

    Args:
        images: That the cuts are of.
        cuts: Asked for by the thread, in order.
        batch_size: The most images of a cut.
        size_px: Of the result.
        device: Where to.

    Raises:
        OSError: If a file cannot be opened.
    """
    if device.type == "cuda":
        # Another thread has a current device of its own.
        index = torch.cuda.current_device() if device.index is None else device.index
        device = torch.device("cuda", index)
    stages = [_Stage(images, batch_size, device) for _ in range(_NUM_AHEAD)]
    with_thread = ThreadPoolExecutor(1, thread_name_prefix="packed")
    try:
        ahead: deque[tuple[_Stage, Future[bool]]] = deque(
            (stage, with_thread.submit(stage.fill, cuts)) for stage in stages
        )
        while True:
            stage, filled = ahead.popleft()
            if not filled.result():
                return
            records, boxes, labels = stage.taken()
            cut = cut_out(records, boxes, images.layout, size_px)
            ahead.append((stage, with_thread.submit(stage.fill, cuts)))
            yield cut, labels
    finally:
        with_thread.shutdown(cancel_futures=True)


class _Stage:
    """Host memory for one batch, filled again and again, and the batch on the device.

    Args:
        images: To gather from.
        batch_size: The most images of a batch.
        device: Where they go.
    """

    def __init__(self, images: PackedImages, batch_size: int, device: torch.device) -> None:
        shape = (batch_size, images.layout.record_bytes)
        self._images = images
        self._device = device
        self._on_gpu = device.type == "cuda"
        self._host = torch.empty(shape, dtype=torch.uint8, pin_memory=self._on_gpu)
        self._stream: Any = torch.cuda.Stream(device) if self._on_gpu else None
        self._copied: Any = None
        self._batch: tuple[Tensor, Tensor, Tensor] | None = None

    def fill(self, cuts: Iterator[Cut]) -> bool:
        """Gather the next batch; false if there is none."""
        cut = next(cuts, None)
        if cut is None:
            return False
        if self._copied is not None:
            self._copied.synchronize()  # of the batch before, or it would be overwritten
        records = self._host[: len(cut.indices)]
        self._images.gather(cut.indices, records.numpy())
        boxes = torch.from_numpy(cut.boxes)
        labels = torch.from_numpy(self._images.labels[cut.indices])
        if self._on_gpu:
            with torch.cuda.stream(self._stream):
                records, boxes, labels = (
                    part.to(self._device, non_blocking=True) for part in (records, boxes, labels)
                )
                self._copied = self._stream.record_event()
        self._batch = records, boxes, labels
        return True

    def taken(self) -> tuple[Tensor, Tensor, Tensor]:
        """Records, boxes and labels on the device; to be used before `fill` is called again."""
        assert self._batch is not None
        if self._on_gpu:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(self._copied)  # the device waits, not this process
            for part in self._batch:
                part.record_stream(current)
        return self._batch
