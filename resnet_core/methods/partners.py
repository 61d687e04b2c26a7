"""Which image of a batch is blended with which."""

import torch
from torch import Tensor


def partners(num: int, device: torch.device) -> Tensor:
    """Index of each image's partner: neighbours 0 and 1, 2 and 3, ... are each other's.

    The order of a batch is random already, so neighbours are random pairs; and pairs stay together
    however workers and micro-batches of even size share the batch. Of an odd number, the last image
    is its own partner.

    Returns:
        Int64 (num,), on the device.
    """
    return (torch.arange(num, device=device) ^ 1).clamp_(max=num - 1)
