"""What a recipe's model costs for one image, without drawing a weight or computing a number.

The model runs on torch's meta device, where tensors have a shape and no values, so no GPU is needed
and the image may be of any size.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from resnet_core.models.factory import build_architecture
from resnet_core.recipe import Recipe


@dataclass(frozen=True)
class Summary:
    """What a model costs.

    Attributes:
        num_parameters: That are trained.
        image_size_px: Height and width of the training images, which the other figures are of.
        forward_flops: Per image, of convolutions and matrix products; a multiply-add is two.
        training_flops: Per image, of the forward and the backward pass, recomputation included.
            A step of SAM that goes uphill makes both passes twice.
        activation_bytes: Per image, what the forward pass leaves in memory for the backward pass;
            weights are not part of it, nor what an operation needs only while it runs.
    """

    num_parameters: int
    image_size_px: int
    forward_flops: int
    training_flops: int
    activation_bytes: int


def summary(recipe: Recipe) -> Summary:
    """Count what a recipe's model costs for each image it is trained on.

    Args:
        recipe: Of its methods, squeeze_excite and blurpool count; so do its precision (16-bit
            activations are half as large), activation_checkpointing and ``image_size_px``.

    Raises:
        ValueError: If a method does not go with the model.
    """
    size_px = recipe.image_size_px
    with torch.device("meta"):
        model = build_architecture(recipe.model, recipe.methods)
        # Casting the model comes to what autocast does: it is convolutions that set the type.
        dtype = torch.float32 if recipe.precision == "fp32" else torch.bfloat16
        model.to(dtype)
        image = torch.empty(1, 3, size_px, size_px, dtype=dtype)
        target = torch.empty(1, recipe.model.num_classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = _NormOfShapes
    model.activation_checkpointing = recipe.activation_checkpointing
    saved = _SavedBytes(model)
    with FlopCounterMode(display=False) as counter:
        with saved_tensors_hooks(saved.add, lambda tensor: tensor):
            loss = model.loss(model(image).float(), target)
        forward_flops = counter.get_total_flops()
        loss.backward()
    return Summary(
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        image_size_px=size_px,
        forward_flops=forward_flops,
        training_flops=counter.get_total_flops(),
        activation_bytes=saved.total,
    )


class _KeepInput(torch.autograd.Function):
    """As far as shapes go, a batch norm: it keeps its input for the backward pass."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(images, gamma, beta)
        return torch.empty_like(images)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return tuple(map(torch.empty_like, ctx.saved_tensors))


class _NormOfShapes(nn.BatchNorm2d):
    """On the meta device torch takes a batch norm apart in Python: 0.5 s of ResNet-152's 0.9 s.

    Its own also refuses to train on one image where that leaves one pixel per channel.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that nn.BatchNorm2d gave it
        return _KeepInput.apply(input, self.weight, self.bias)  # pyright: ignore[reportReturnType]


class _SavedBytes:
    """The bytes of all tensors that autograd saves, each storage counted once."""

    def __init__(self, model: nn.Module) -> None:
        own = (*model.parameters(), *model.buffers())
        self._counted = {_address(tensor) for tensor in own}
        self.total = 0

    def add(self, tensor: Tensor) -> Tensor:
        if _address(tensor) not in self._counted:
            self._counted.add(_address(tensor))
            self.total += tensor.untyped_storage().nbytes()
        return tensor


def _address(tensor: Tensor) -> int:
    # Of the storage's own record; where the values lie is 0 for every tensor on the meta device.
    return tensor.untyped_storage()._cdata
