"""channels_last: the memory layout that convolutions are fastest in."""

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def to_channels_last(model: Network) -> Network:
    """The same model with weights (K, C, H, W) that lie as K, H, W, C in memory."""
    return model.to(memory_format=torch.channels_last)
