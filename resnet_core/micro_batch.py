"""`micro_batch_size: auto`: the most images that fit in memory at a time."""

import warnings

import torch
import torch.distributed as dist

from resnet_core.precision import autocast
from resnet_core.process_group import is_distributed
from resnet_core.training import Training


class MicroBatchTooLarge(torch.OutOfMemoryError):
    """A step ran out of memory although its micro-batch had fit when it was tried.

    Attributes:
        micro_batch_size: What was tried, and what the step trained with.
    """

    def __init__(self, micro_batch_size: int) -> None:
        super().__init__(
            f"a step ran out of memory with the {micro_batch_size} images at a time that had fit "
            "when micro_batch_size: auto tried them"
        )
        self.micro_batch_size = micro_batch_size


def largest_that_fits(training: Training, share: int, *, limit: int | None = None) -> int:
    """Try a forward and backward pass at full image size, and halve as long as memory runs out.

    All workers try and agree, so every one of them trains with the same size. Weights, statistics
    and random streams are left as they were.

    Args:
        training: Before its first step in this process.
        share: Images of a batch that this worker trains.
        limit: At most so many are tried.

    Returns:
        A divisor of ``share``.

    Raises:
        torch.OutOfMemoryError: If not even one image fits.
    """
    micro = share if limit is None else _divisor(share, limit)
    while not _fits(training, micro):
        if micro == 1:
            raise torch.OutOfMemoryError("not even one image and its gradient fit in memory")
        micro = _divisor(share, micro // 2)
    if micro < share:
        warnings.warn(
            f"out of memory with {share} images at a time: micro_batch_size is {micro}, so batch "
            f"norm sees {micro} images instead of {share}",
            stacklevel=3,
        )
    return micro


def _divisor(share: int, limit: int) -> int:
    """The largest divisor of ``share`` that is at most ``limit``."""
    return max(size for size in range(1, limit + 1) if share % size == 0)


def _fits(training: Training, micro: int) -> bool:
    model = training.model
    device = training.epoch_log.device
    statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
    failed = torch.zeros((), device=device)
    try:
        _try(training, micro)
    except torch.OutOfMemoryError:
        failed += 1
    training.optimizer.zero_grad(set_to_none=True)
    for name, buffer in model.named_buffers():
        buffer.copy_(statistics[name])
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if is_distributed():
        dist.all_reduce(failed, op=dist.ReduceOp.MAX)
    return failed.item() == 0


def _try(training: Training, micro: int) -> None:
    """In a function of its own, so that whatever it holds is free when it is left."""
    recipe, model, device = training.recipe, training.model, training.epoch_log.device
    # What a step takes beside weights and gradients: optimizer (up to 2), the exchange of
    # gradients, SAM's copy.
    _reserved = [[torch.empty_like(weight) for _ in range(4)] for weight in model.parameters()]
    size = recipe.image_size_px
    images = torch.zeros(micro, 3, size, size, device=device)
    if recipe.methods.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    targets = torch.zeros(micro, recipe.model.num_classes, device=device)
    model.train()
    with autocast(recipe.precision, device):
        logits = model(images)
    training.scaler.scale(model.loss(logits.float(), targets)).backward()
