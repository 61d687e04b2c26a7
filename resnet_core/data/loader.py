"""Which images make which batch, from nothing but seed and step.

Nothing is carried from batch to batch: a training that resumes at step k sees what it would have
seen, whatever number of workers shares the batch.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from resnet_core.data.augment import normalise, random_shift
from resnet_core.data.sources import ImageData, Split

_ORDER, _AUGMENT = 1, 2  # streams of random numbers


class TrainLoader:
    """Batches of the training split in a new order each epoch; the last, partial one is dropped.

    Args:
        data: In memory, on the device that trains.
        batch_size: Global, over all workers.
        max_shift_px: Of `random_shift`.
        seed: Of the recipe.
        rank: This worker's, from 0.
        num_workers: That share each batch; divides ``batch_size``.
    """

    def __init__(
        self, data: ImageData, *, batch_size: int, max_shift_px: int, seed: int,
        rank: int, num_workers: int,
    ) -> None:  # fmt: skip
        self._data = data
        self._batch_size = batch_size
        self._max_shift_px = max_shift_px
        self._seed = seed
        share = batch_size // num_workers
        self._own = slice(rank * share, (rank + 1) * share)
        self.steps_per_epoch = len(data.train) // batch_size

    def batches(self, first_step: int, end_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This worker's share of the global batches ``first_step`` to ``end_step`` - 1.

        Yields:
            Normalised images, float32 (batch_size / num_workers, 3, H, W), and labels, int64.
        """
        train, order, ordered_epoch = self._data.train, torch.empty(0), -1
        for step in range(first_step, end_step):
            epoch, position = divmod(step, self.steps_per_epoch)
            if epoch != ordered_epoch:
                generator = _generator(self._seed, _ORDER, epoch)
                order = torch.randperm(len(train), generator=generator).to(train.labels.device)
                ordered_epoch = epoch
            begin = position * self._batch_size
            indices = order[begin : begin + self._batch_size]
            images = train.images[indices]
            if self._max_shift_px:
                # Drawn for the whole batch, so that it does not depend on how many share it.
                generator = _generator(self._seed, _AUGMENT, step)
                images = random_shift(images, max_shift_px=self._max_shift_px, generator=generator)
            images = normalise(images[self._own], self._data.mean, self._data.std)
            yield images, train.labels[indices[self._own]]


def evaluation_batches(
    data: ImageData, split: Split, *, batch_size: int, rank: int, num_workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """This worker's share of a split, in order; every image is in exactly one worker's share.

    Yields:
        Normalised images, float32 (at most batch_size, 3, H, W), and labels, int64.
    """
    begin, end = (len(split) * part // num_workers for part in (rank, rank + 1))
    for first in range(begin, end, batch_size):
        own = slice(first, min(first + batch_size, end))
        yield normalise(split.images[own], data.mean, data.std), split.labels[own]


def _generator(seed: int, stream: int, counter: int) -> torch.Generator:
    """Random numbers that depend on the three numbers alone."""
    # A tuple of integers hashes the same in every process, and neighbours lie far apart.
    return torch.Generator().manual_seed(hash((seed, stream, counter)) % 2**63)
