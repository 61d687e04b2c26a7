"""Which images make which batch, from nothing but seed and step.

Nothing is carried from batch to batch: a training that resumes at step k sees what it would have
seen, whatever number of workers shares the batch, and of processes decodes it. Packed images need
no process: see `packed.feed`.
"""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from resnet_core.data.batch_reader import (
    EvaluationReader,
    Order,
    TrainReader,
    shift_and_flip,
)
from resnet_core.data.dataset import BadImage, ImageData, Split, StreamedSplit
from resnet_core.data.packed.feed import Cut, evaluation_cut, feed, training_cut
from resnet_core.data.packed.images import PackedImages
from resnet_core.data.per_image import Policies
from resnet_core.data.section import FOLDER_SIZE_PX, BadImageConfig, PackedConfig, SourceConfig
from resnet_core.methods.section import MethodsConfig, ResolutionConfig

_LOADER_DIED = "DataLoader worker (pid"  # torch has no type for it, and says so in several ways
_FOLDERS_OWN = ResolutionConfig(train_px=FOLDER_SIZE_PX, evaluation_px=FOLDER_SIZE_PX)


@dataclass(frozen=True)
class Batch:
    """One worker's share of a batch, on the device, perhaps still on its way there.

    Attributes:
        images: uint8 (n, 3, H, W), 0 to 255.
        labels: Class indices, int64 (n,).
        bad: Names of images that could not be read and were to be skipped: in training others
            stand in their places, in evaluation they are missing.
    """

    images: Tensor
    labels: Tensor
    bad: tuple[str, ...] = ()


def lost_a_loader(error: BaseException) -> bool:
    """Whether a process that loads images was killed, by the kernel for its memory or by hand.

    No image is to blame, so training may go on from a checkpoint, to the same bits.
    """
    return isinstance(error, RuntimeError) and str(error).startswith(_LOADER_DIED)


class TrainLoader:
    """Batches of the training split in a new order each epoch; the last, partial one is dropped.

    Args:
        data: Whose training split, on the device that trains if in memory.
        batch_size: Global, over all workers.
        seed: Of the recipe.
        rank: This worker's, from 0.
        num_workers: That share each batch; divides ``batch_size``.
        settings: Of the source.
        methods: Of which those of single images are done here.
        train_px: Side that streamed images are cropped to; images in memory keep their size.
        num_processes: That decode and augment single images; 0 does it in this process. Plain
            images in memory need none.

    Raises:
        ValueError: If the split is smaller than a batch.
    """

    def __init__(
        self, data: ImageData, *, batch_size: int, seed: int, rank: int, num_workers: int,
        settings: SourceConfig | BadImageConfig | PackedConfig, methods: MethodsConfig,
        train_px: int, num_processes: int,
    ) -> None:  # fmt: skip
        if batch_size > len(data.train):
            raise ValueError(
                f"train_batch_size {batch_size} is more than the {len(data.train)} training images"
            )
        self._data = data
        self._batch_size = batch_size
        self._seed = seed
        share = batch_size // num_workers
        self._own = slice(rank * share, (rank + 1) * share)
        self._settings = settings if isinstance(settings, SourceConfig) else None
        self._methods = methods
        self._train_px = train_px
        self._num_processes = num_processes
        self.steps_per_epoch = len(data.train) // batch_size

    def batches(self, first_step: int, end_step: int) -> Generator[Batch]:
        """This worker's share of the global batches ``first_step`` to ``end_step`` - 1.

        Ask once for the rest of a training: loader processes live as long as the generator, and
        end when it is used up or closed.

        Raises:
            BadImage: If an image cannot be decoded and is not to be skipped.
            BadSample: If a user's source gives something else than an image and its label.
            OSError: If the operating system cannot read a file.
        """
        train, steps = self._data.train, range(first_step, end_step)
        plain = not self._methods.changes_single_images
        if isinstance(train, Split) and plain:
            yield from self._on_device(train, steps)
        elif isinstance(train, StreamedSplit) and isinstance(train.dataset, PackedImages) and plain:
            yield from self._packed(train.dataset, steps)
        else:
            yield from _read_all(self._reader(), steps, self._num_processes, self._data.device)

    def _packed(self, images: PackedImages, steps: range) -> Iterator[Batch]:
        order = self._order()
        cuts = (
            training_cut(
                images,
                order.batch(step, self._own).numpy(),
                self._own,
                seed=self._seed,
                step=step,
            )
            for step in steps
        )
        yield from _fed(images, cuts, self._own.stop - self._own.start, self._train_px, self._data)

    def _on_device(self, train: Split, steps: range) -> Iterator[Batch]:
        order = self._order()
        for step in steps:
            indices = order.batch(step, self._own, train.labels.device)
            images = train.images.index_select(0, indices)  # sooner than by brackets
            if self._settings is not None:
                images = shift_and_flip(
                    images,
                    self._settings,
                    seed=self._seed,
                    step=step,
                    batch_size=self._batch_size,
                    own=self._own,
                )
            yield Batch(images, train.labels.index_select(0, indices))

    def _order(self) -> Order:
        return Order(len(self._data.train), batch_size=self._batch_size, seed=self._seed)

    def _reader(self) -> TrainReader:
        train = self._data.train
        if isinstance(train, Split):
            # Loader processes are forked, and must not touch the device.
            train = Split(train.images.cpu(), train.labels.cpu())
        return TrainReader(
            train, self._order(), self._own,
            Policies(self._methods, mean=self._data.mean.cpu()),
            crop_px=self._train_px, seed=self._seed, settings=self._settings,
        )  # fmt: skip


def evaluation_batches(
    split: Split | StreamedSplit, *, data: ImageData, batch_size: int, rank: int,
    num_workers: int, resolution: ResolutionConfig | None, num_processes: int,
) -> Generator[Batch]:  # fmt: skip
    """This worker's share of a split, in order; every image is in exactly one worker's share.

    Args:
        split: To evaluate on.
        data: That it is of.
        batch_size: The most images of a batch, this worker's.
        rank: This worker's, from 0.
        num_workers: That share the split.
        resolution: Of streamed images; None is 224 px of 256. Images in memory come as they are.
        num_processes: That decode streamed images; 0 does it in this process.

    Yields:
        Batches of at least one image.

    Raises:
        BadImage: If an image cannot be decoded and is not to be skipped, or none of the share can.
        BadSample: As `TrainLoader.batches`.
        OSError: Likewise.
    """
    begin, end = (len(split) * part // num_workers for part in (rank, rank + 1))
    if isinstance(split, Split):
        for first in range(begin, end, batch_size):
            own = slice(first, min(first + batch_size, end))
            yield Batch(split.images[own], split.labels[own])
        return
    resolution = resolution or _FOLDERS_OWN
    if isinstance(images := split.dataset, PackedImages):
        firsts = range(begin, end, batch_size)
        parts = (np.arange(first, min(first + batch_size, end)) for first in firsts)
        cuts = (evaluation_cut(images, part, resolution) for part in parts)
        yield from _fed(images, cuts, batch_size, resolution.evaluation_px, data)
        return
    reader = EvaluationReader(split, resolution, begin=begin, end=end, batch_size=batch_size)
    numbers = range(len(range(begin, end, batch_size)))
    held = None
    for batch in _read_all(reader, numbers, num_processes, data.device):
        if held is None:
            held = batch
        elif len(held.labels) and len(batch.labels):
            yield held
            held = batch
        else:
            # A batch of which nothing was readable has no mean loss, but names to report.
            filled = held if len(held.labels) else batch
            held = replace(filled, bad=held.bad + batch.bad)
    if held is not None:
        if not len(held.labels):
            raise BadImage(f"no image can be read, of {end - begin}; the first: {held.bad[0]}")
        yield held


def _fed(
    images: PackedImages, cuts: Iterator[Cut], batch_size: int, size_px: int, data: ImageData
) -> Iterator[Batch]:
    fed = feed(images, cuts, batch_size=batch_size, size_px=size_px, device=data.device)
    with closing(fed):  # its thread ends with it
        for pixels, labels in fed:
            yield Batch(pixels, labels)


def _read_all(
    reader: TrainReader | EvaluationReader, keys: range, num_processes: int, device: torch.device
) -> Iterator[Batch]:
    reads = iter(
        DataLoader[Any](
            reader,  # pyright: ignore[reportArgumentType] (all it takes is __getitem__)
            batch_size=None,
            sampler=keys,
            num_workers=min(num_processes, len(keys)),
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # or it draws from the global one
        )
    )
    in_this_process = not hasattr(reads, "_shutdown_workers")
    try:
        while True:
            with _one_thread(in_this_process):
                read = _next(reads)
            if read is None:
                return
            if isinstance(read, Exception):
                raise read
            images, labels, bad = read
            images, labels = (x.to(device, non_blocking=True) for x in (images, labels))
            yield Batch(images, labels, tuple(bad))
    finally:
        # Otherwise they live as long as anything refers to the iterator, as a traceback does.
        getattr(reads, "_shutdown_workers", lambda: None)()


def _next(reads: Iterator[Any]) -> Any:
    try:
        return next(reads, None)
    except (OSError, EOFError) as error:
        # Readers return theirs, so this is of the connection to a process that is just dying: torch
        # has its own error only for those that are dead.
        raise RuntimeError(f"{_LOADER_DIED}) does not answer: {error!r}") from error


@contextmanager
def _one_thread(really: bool) -> Iterator[None]:
    """Add up as a loader process does, which has one thread: sums are the same to the last bit."""
    before = torch.get_num_threads()
    if really:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if really:
            torch.set_num_threads(before)
