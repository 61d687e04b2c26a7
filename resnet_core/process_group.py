"""This process among the workers of a `torch.distributed` process group; alone without one."""

import torch
import torch.distributed as dist
from torch import Tensor


def is_distributed() -> bool:
    """Whether this process belongs to a process group, be it of one worker."""
    return dist.is_available() and dist.is_initialized()


def rank_and_num_workers() -> tuple[int, int]:
    """This worker's rank, from 0, and how many there are; (0, 1) alone."""
    return (dist.get_rank(), dist.get_world_size()) if is_distributed() else (0, 1)


def mean_over_workers(values: Tensor) -> Tensor:
    """Replace values by their mean over all workers; a collective call, and nothing alone."""
    if is_distributed():
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return values


def mean_of_each(tensors: list[Tensor]) -> None:
    """`mean_over_workers` of several tensors in place, in one reduction."""
    if is_distributed() and tensors:
        flat = mean_over_workers(torch.cat([tensor.flatten() for tensor in tensors]))
        unpack(flat, tensors)


def of_each_worker(tensors: list[Tensor]) -> Tensor:
    """What every worker has in its tensors, side by side (workers, numbers); a collective call."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    if not is_distributed():
        return flat[None]
    rows = [torch.empty_like(flat) for _ in range(dist.get_world_size())]
    dist.all_gather(rows, flat)
    return torch.stack(rows)


def unpack(flat: Tensor, tensors: list[Tensor]) -> None:
    """Overwrite tensors with what `of_each_worker` has in a row."""
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
