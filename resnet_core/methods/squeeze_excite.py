"""Squeeze-excite: a gate per channel, decided by what all channels see over the whole image."""

import torch
from torch import Tensor, nn

from resnet_core.problems import CannotTrain


class SqueezeExcite(nn.Module):
    """Multiply every channel by a gate in (0, 1) computed from the means of all channels.

    Args:
        channels: C of the images.
        reduction: C over the channels of the bottleneck; 16 in the paper.

    Raises:
        CannotTrain: If ``reduction`` leaves the bottleneck no channel.

    Source: Hu et al. 2017, arXiv:1709.01507, section 3; biases and names (``fc1``, ``fc2``) as in
    torchvision.ops.SqueezeExcitation.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        if reduction > channels:
            raise CannotTrain(
                f"squeeze_excite reduction must be at most the {channels} channels of the "
                f"narrowest block, got {reduction}"
            )
        self.fc1 = nn.Conv2d(channels, channels // reduction, kernel_size=1)
        self.fc2 = nn.Conv2d(channels // reduction, channels, kernel_size=1)
        for layer in (self.fc1, self.fc2):
            # As the trunk, but over fan-in: fan-out is 1/reduction of it, and weights that large
            # would saturate the gates before training. Zero biases let gates begin around 0.5.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, images: Tensor) -> Tensor:
        """Gated images, float (N, C, H, W) to the same."""
        means = images.mean(dim=(2, 3), keepdim=True)
        return images * torch.sigmoid(self.fc2(torch.relu(self.fc1(means))))
