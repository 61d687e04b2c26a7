"""What loader processes run: a whole batch, from its number alone."""

from collections.abc import Iterator, Sequence
from itertools import chain

import torch
from PIL import Image
from torch import Tensor

from resnet_core.data.augment import random_flip, random_shift
from resnet_core.data.crops import RandomBoxes, crop_draws
from resnet_core.data.dataset import BadImage, BadSample, Split, StreamedSplit
from resnet_core.data.per_image import Policies, pixels_of, resize_and_crop, resized_box
from resnet_core.data.section import SourceConfig
from resnet_core.methods.section import ResolutionConfig
from resnet_core.random_streams import Stream, derived_seed, torch_generator

Read = tuple[Tensor, Tensor, tuple[str, ...]]
"""Images, uint8 (n, 3, H, W), labels, int64 (n,), and names of images that could not be read."""


class Order:
    """The order of the training images, new each epoch, and the share of each batch.

    Args:
        num_images: Of the training split.
        batch_size: Global; the last, partial batch of an epoch is dropped.
        seed: Of the recipe.
    """

    def __init__(self, num_images: int, *, batch_size: int, seed: int) -> None:
        self.steps_per_epoch = num_images // batch_size
        self._num_images = num_images
        self.batch_size = batch_size
        self._seed = seed
        self._epoch, self._order = -1, torch.empty(0)

    def epoch_of(self, step: int) -> int:
        """The epoch, from 0, that a step, from 0, belongs to."""
        return step // self.steps_per_epoch

    def batch(
        self, step: int, own: slice | None = None, device: torch.device | str = "cpu"
    ) -> Tensor:
        """Indices of the global batch of a step, or of ``own`` places in it; int64."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch_generator(self._seed, Stream.ORDER, epoch)
            self._order = torch.randperm(self._num_images, generator=generator).to(device)
            self._epoch = epoch
        begin = position * self.batch_size
        if own is None:
            return self._order[begin : begin + self.batch_size]
        return self._order[begin + own.start : begin + own.stop]


def shift_and_flip(
    images: Tensor, settings: SourceConfig, *, seed: int, step: int, batch_size: int, own: slice
) -> Tensor:
    """The augmentation of images in memory, drawn for the whole global batch of a step.

    Args:
        images: Those of the ``own`` places in it.
        settings: What to do.
        seed: Of the recipe.
        step: From 0.
        batch_size: Global.
        own: This worker's places.
    """
    if not (settings.max_shift_px or settings.horizontal_flip):
        return images
    generator = torch_generator(seed, Stream.SHIFT, step)
    images = random_shift(
        images,
        max_shift_px=settings.max_shift_px,
        generator=generator,
        batch_size=batch_size,
        own=own,
    )
    if not settings.horizontal_flip:
        return images
    return random_flip(images, generator=generator, batch_size=batch_size, own=own)


class TrainReader:
    """Reads this worker's share of the global batch of a step, and augments it image by image.

    Args:
        split: Of training images; on the CPU if in memory.
        order: Whose caches are this process's own.
        own: This worker's places in the global batch.
        policies: For each image.
        crop_px: Side of the random crops of a streamed split.
        seed: Of the recipe.
        settings: Of a source in memory; None for a streamed one.
    """

    def __init__(
        self, split: Split | StreamedSplit, order: Order, own: slice, policies: Policies,
        *, crop_px: int, seed: int, settings: SourceConfig | None,
    ) -> None:  # fmt: skip
        self._split = split
        self._order = order
        self._own = own
        self._policies = policies
        self._crop_px = crop_px
        self._seed = seed
        self._settings = settings

    def __getitem__(self, step: int) -> Read | OSError | BadSample:
        try:
            return self._read(step)
        except (OSError, BadSample) as error:
            # Raised by the reader's process: a DataLoader would put a traceback in its message.
            return error

    def _read(self, step: int) -> Read:
        indices, bad = self._order.batch(step, self._own), []
        samples = (
            self._in_memory(self._split, indices, step)
            if isinstance(self._split, Split)
            else self._cropped(self._split, indices, step, bad)
        )
        images, labels = zip(*samples, strict=True)
        if self._policies:
            epoch = self._order.epoch_of(step)
            images = [
                self._policies(image, derived_seed(self._seed, Stream.IMAGE, epoch, index))
                for image, index in zip(images, indices.tolist(), strict=True)
            ]
        return stacked(images), torch.tensor(labels), tuple(bad)

    def _in_memory(self, split: Split, indices: Tensor, step: int) -> Iterator[tuple[Tensor, int]]:
        images = split.images[indices]
        if self._settings is not None:
            images = shift_and_flip(
                images,
                self._settings,
                seed=self._seed,
                step=step,
                batch_size=self._order.batch_size,
                own=self._own,
            )
        return zip(images, split.labels[indices].tolist(), strict=True)

    def _cropped(
        self, split: StreamedSplit, indices: Tensor, step: int, bad: list[str]
    ) -> Iterator[tuple[Tensor, int]]:
        # One by one, so that each is cropped while it is still in the processor's caches.
        boxes = RandomBoxes(crop_draws(self._own, seed=self._seed, step=step))
        for place, index in enumerate(indices.tolist()):
            image, label = readable_image(split, index, bad)
            pixels = pixels_of(image)
            height, width = pixels.shape[1:]
            box = boxes.box(place, width, height)
            yield resized_box(pixels, box, self._crop_px, mirrored=boxes.mirrored(place)), label


def stacked(images: Sequence[Tensor]) -> Tensor:
    """Images, each (3, H, W), as a batch, interleaved in memory if all of them are."""
    if all(image.stride(0) == 1 for image in images):
        return torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)
    return torch.stack(list(images))


class EvaluationReader:
    """Reads a batch of consecutive images of a streamed split, in order.

    Args:
        split: To evaluate on.
        resolution: Of `resize_and_crop`.
        begin: Index of the first image of this worker's share.
        end: One after the last.
        batch_size: This worker's.
    """

    def __init__(
        self, split: StreamedSplit, resolution: ResolutionConfig,
        *, begin: int, end: int, batch_size: int,
    ) -> None:  # fmt: skip
        self._split = split
        self._resolution = resolution
        self._begin = begin
        self._end = end
        self._batch_size = batch_size

    def __getitem__(self, number: int) -> Read | OSError | BadSample:
        try:
            return self._read(self._begin + number * self._batch_size)
        except (OSError, BadSample) as error:
            return error

    def _read(self, first: int) -> Read:
        images, labels, bad = [], [], []
        for index in range(first, min(first + self._batch_size, self._end)):
            try:
                image, label = self._split.dataset[index]
            except BadImage as error:
                if self._split.on_bad_image == "error":
                    raise
                bad.append(error.name)
            else:
                images.append(resize_and_crop(image, self._resolution))
                labels.append(label)
        size_px = self._resolution.evaluation_px
        none = torch.empty(0, 3, size_px, size_px, dtype=torch.uint8)
        return (
            torch.stack(images) if images else none,
            torch.tensor(labels, dtype=torch.int64),
            tuple(bad),
        )


def readable_image(
    split: StreamedSplit, index: int, bad: list[str]
) -> tuple[Image.Image | Tensor, int]:
    """An image and its label; of one to skip, those of the next readable image, after its name.

    Args:
        split: That the image is of; after its last image comes its first.
        index: Of the image.
        bad: Gets the name of the image if another took its place.

    Raises:
        BadImage: If it cannot be decoded and is not to be skipped, or no image of the split can.
    """
    refusal = None
    for candidate in chain(range(index, len(split)), range(index)):
        try:
            sample = split.dataset[candidate]
        except BadImage as error:
            if split.on_bad_image == "error":
                raise
            refusal = refusal or error
        else:
            if refusal is not None:
                bad.append(refusal.name)
            return sample
    raise BadImage(f"no image can be read, of {len(split)}; the first tried: {refusal}")
