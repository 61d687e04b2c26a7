"""BlurPool: a low-pass filter before every reduction of resolution, against aliasing.

A strided layer looks at every other pixel only, so what it gives jumps as an image shifts by one;
blurring first takes out the detail that the coarser grid cannot hold.

Source: Zhang 2019, arXiv:1904.11486; the filter [1, 2, 1] x [1, 2, 1] / 16 with reflected borders
is its Triangle-3. `blur_first` (blur, then the strided convolution) is MosaicML Composer's order.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_core.methods.section import BlurpoolConfig
from resnet_core.problems import CannotTrain


def apply_blurpool(model: nn.Module, config: BlurpoolConfig) -> int:
    """Blur before every strided convolution and max-pool; names in the state stay as they are.

    Args:
        model: Changed in place; its parameters remain the same objects.
        config: Which layers: convolutions of a stride above 1 with ``min_channels`` input channels
            or more, and max-pools of a stride above 1.

    Returns:
        The number of layers changed.

    Raises:
        CannotTrain: If there is nothing to change.
    """
    changed = 0
    some_weight = next(model.parameters())
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, BlurConv2d | BlurMaxPool2d):
                continue
            if isinstance(layer, nn.Conv2d) and config.replace_convs:
                if _strided(layer) and layer.in_channels >= config.min_channels:
                    setattr(parent, name, BlurConv2d.of(layer, blur_first=config.blur_first))
                    changed += 1
            elif isinstance(layer, nn.MaxPool2d) and config.replace_maxpools and _strided(layer):
                setattr(parent, name, BlurMaxPool2d.of(layer, some_weight))
                changed += 1
    if changed == 0:
        raise CannotTrain(
            "blurpool changes nothing in this model: no layer that lowers the resolution is chosen "
            f"by replace_convs: {config.replace_convs}, replace_maxpools: "
            f"{config.replace_maxpools} and min_channels: {config.min_channels}; "
            "widen them or leave blurpool out"
        )
    return changed


def blur(images: Tensor, kernel: Tensor, stride: Sequence[int]) -> Tensor:
    """Filter every channel by itself.

    Args:
        images: Float (N, C, H, W).
        kernel: Float (1, 1, 3, 3).
        stride: Vertical and horizontal, in pixels.

    Returns:
        Float (N, C, ceil(H / stride), ceil(W / stride)).
    """
    num_channels, *size = images.shape[1:]
    # One pixel has no neighbour to reflect; repeating it is the only thing left to do.
    padded = F.pad(images, (1, 1, 1, 1), mode="reflect" if min(size) > 1 else "replicate")
    kernels = kernel.expand(num_channels, 1, 3, 3)
    return F.conv2d(padded, kernels, stride=tuple(stride), groups=num_channels)


class BlurConv2d(nn.Conv2d):
    """A strided convolution with the blur before it, or behind the same convolution of stride 1."""

    blur_first: bool
    kernel: Tensor

    @classmethod
    def of(cls, layer: nn.Conv2d, *, blur_first: bool) -> "BlurConv2d":
        """The same convolution, with its very parameters, and a blur."""
        blurred = cls(
            layer.in_channels,
            layer.out_channels,
            cast(tuple[int, int], layer.kernel_size),
            cast(tuple[int, int], layer.stride),
            cast(tuple[int, int], layer.padding),
            cast(tuple[int, int], layer.dilation),
            layer.groups,
            bias=layer.bias is not None,
            device="meta",  # draws nothing: the parameters are replaced on the next lines
        )
        blurred.weight, blurred.bias = layer.weight, layer.bias
        blurred.blur_first = blur_first
        blurred.register_buffer("kernel", _kernel_like(layer.weight), persistent=False)
        return blurred

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that nn.Conv2d gave it
        """Float (N, C, H, W) to (N, C', H', W'), sizes as without the blur."""
        if self.blur_first:
            return super().forward(blur(input, self.kernel, (1, 1)))
        dense = F.conv2d(input, self.weight, self.bias, 1, self.padding, self.dilation, self.groups)
        return blur(dense, self.kernel, self.stride)


class BlurMaxPool2d(nn.MaxPool2d):
    """The maximum at every pixel, then the strided blur."""

    kernel: Tensor

    @classmethod
    def of(cls, layer: nn.MaxPool2d, like: Tensor) -> "BlurMaxPool2d":
        """The same pool, and a blur of the type and on the device of a tensor."""
        blurred = cls(layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        blurred.register_buffer("kernel", _kernel_like(like), persistent=False)
        return blurred

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that nn.MaxPool2d gave it
        """Float (N, C, H, W) to (N, C, H', W'), sizes as without the blur."""
        dense = F.max_pool2d(input, self.kernel_size, 1, self.padding, self.dilation)
        return blur(dense, self.kernel, _pair(self.stride))


def _strided(layer: nn.Conv2d | nn.MaxPool2d) -> bool:
    return max(_pair(layer.stride)) > 1


def _kernel_like(like: Tensor) -> Tensor:
    line = torch.tensor([1.0, 2.0, 1.0], dtype=like.dtype, device=like.device) / 4
    return (line[:, None] * line)[None, None]


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value, value)
