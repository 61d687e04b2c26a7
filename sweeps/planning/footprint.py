"""What a recipe takes: parameters, FLOPs, memory of a worker, bytes of a checkpoint.

Nothing is run: the model is built on torch's meta device, where a tensor has a shape and no values.
"""

import json
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from resnet_core.data.section import NUM_DIGITS, DataConfig, FakeConfig
from resnet_core.models.factory import build_architecture
from resnet_core.optimizer import AdamwConfig, SgdConfig
from resnet_core.recipe import Recipe
from sweeps.space.model_cost import cached_summary

_FLOAT_BYTES = 4
_FILE_BYTES = 1_500
_BYTES_OF_A_TENSOR = 250
"""What `torch.save` adds to a file and to each tensor in it: its name, the zip's two headers, and
padding to 64 bytes. Measured with torch 2.11: 240 to 295 bytes a tensor."""
_METRICS_BYTES = 500
_LIVE_OUTPUTS = 5
"""Of its largest output a pass holds so many at a time besides what is kept: a stage's input, a
block's, its branch before and after a batch norm, and a convolution's work space; backwards the
gradients of these. Measured on a CPU: 5.1 in an evaluation."""


@dataclass(frozen=True)
class ArchitectureCost:
    """What a model costs; equal for recipes with an equal `shape_key`.

    Attributes:
        parameters: That are trained.
        forward_flops: Per training image; a multiply-add is two.
        training_flops: Per image, forward and backward.
        activation_bytes: Per image, kept from the forward pass for the backward pass.
        num_weights: Parameter tensors.
        state_bytes: Parameters and buffers.
        num_states: Tensors of both kinds.
        largest_output: Numbers per image in the largest output of any layer.
    """

    parameters: int
    forward_flops: int
    training_flops: int
    activation_bytes: int
    num_weights: int
    state_bytes: int
    num_states: int
    largest_output: int


@dataclass(frozen=True)
class Memory:
    """Bytes that one worker's tensors take at the height of a step, by what they are.

    The process itself comes on top: on a CPU 0.8 GB of libraries and caches, on a GPU the CUDA
    context.

    Attributes:
        weights: Parameters and buffers; below fp32 also the 16-bit copies that layers use.
        gradients: One a parameter, two with several workers, which exchange them.
        optimizer: Its state.
        averages: EMA's copy of the model, and SAM's of the weights.
        activations: Of the images in memory at a time with their gradients, for training or for
            evaluation, whichever takes more.
        batch: The worker's share of a batch, as bytes and as floats before and after mixing.
        data: The data set, of sources that stay in memory.
    """

    weights: int
    gradients: int
    optimizer: int
    averages: int
    activations: int
    batch: int
    data: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, part.name) for part in fields(self))


def architecture_cost(recipe: Recipe) -> ArchitectureCost:
    """Count what the recipe's model costs; takes 0.1 to 0.5 s.

    Raises:
        ValueError: If a method does not go with the model.
    """
    counted = cached_summary(recipe)
    size_px = recipe.image_size_px
    with torch.device("meta"):
        model = build_architecture(recipe.model, recipe.methods).eval()
        image = torch.empty(1, 3, size_px, size_px)
    largest = 0

    def look_at(_module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal largest
        largest = max(largest, output.numel())

    for module in model.modules():
        module.register_forward_hook(look_at)
    with torch.no_grad():
        model(image)
    states = list(model.state_dict().values())
    return ArchitectureCost(
        parameters=counted.num_parameters,
        forward_flops=counted.forward_flops,
        training_flops=counted.training_flops,
        activation_bytes=counted.activation_bytes,
        num_weights=len(list(model.parameters())),
        state_bytes=sum(state.numel() * state.element_size() for state in states),
        num_states=len(states),
        largest_output=largest,
    )


def optimizer_state(recipe: Recipe, cost: ArchitectureCost) -> tuple[int, int]:
    """Bytes and number of the tensors that the recipe's optimizer keeps.

    SGD keeps one number a parameter if it has momentum, AdamW two, and a step count per tensor.
    """
    match recipe.optimizer.settings:
        case AdamwConfig():
            size = (2 * cost.parameters + cost.num_weights) * _FLOAT_BYTES
            return size, 3 * cost.num_weights
        case SgdConfig(momentum=momentum) if momentum > 0:
            return cost.parameters * _FLOAT_BYTES, cost.num_weights
    return 0, 0


def checkpoint_bytes(recipe: Recipe, cost: ArchitectureCost, steps_per_epoch: int = 0) -> int:
    """Size of one checkpoint folder, of which the manifest holds the recipe.

    Args:
        recipe: What is trained.
        cost: Of its model.
        steps_per_epoch: Each has its loss in the checkpoint; 0 where it is not known.
    """
    optimizer_bytes, num_optimizer_tensors = optimizer_state(recipe, cost)
    copies = 1 if recipe.methods.ema is None else 2
    tensors = copies * cost.num_states + num_optimizer_tensors + 1
    num_files = 2 + copies + (recipe.precision == "fp16")
    content = copies * cost.state_bytes + optimizer_bytes + (1 + steps_per_epoch) * _FLOAT_BYTES
    manifest = len(json.dumps(recipe.to_dict(), indent=2)) + _METRICS_BYTES
    return content + tensors * _BYTES_OF_A_TENSOR + num_files * _FILE_BYTES + manifest


def worker_memory(recipe: Recipe, cost: ArchitectureCost, num_workers: int) -> Memory:
    """Estimate what one worker's tensors take when most of them are there.

    Args:
        recipe: What is trained; a micro-batch size of ``auto`` is counted as the whole share.
        cost: Of its model.
        num_workers: That share each batch.
    """
    share = -(-recipe.train_batch_size // num_workers)
    at_a_time = share
    if isinstance(recipe.micro_batch_size, int):
        at_a_time = min(share, recipe.micro_batch_size)
    weights = cost.parameters * _FLOAT_BYTES
    half = recipe.precision != "fp32"
    live = _LIVE_OUTPUTS * cost.largest_output * (_FLOAT_BYTES // 2 if half else _FLOAT_BYTES)
    training = at_a_time * (cost.activation_bytes + live)
    evaluation = _num_evaluated(recipe, num_workers) * _evaluation_bytes(recipe, live)
    numbers_per_image = 3 * recipe.image_size_px**2
    return Memory(
        weights=cost.state_bytes + (weights // 2 if half else 0),
        gradients=weights * (1 if num_workers == 1 else 2),
        optimizer=optimizer_state(recipe, cost)[0],
        averages=(cost.state_bytes if recipe.methods.ema is not None else 0)
        + (weights if recipe.methods.sam is not None else 0),
        activations=max(training, evaluation),
        batch=share * numbers_per_image * (1 + 2 * _FLOAT_BYTES),
        data=resident_bytes(recipe.data),
    )


def _evaluation_bytes(recipe: Recipe, live: int) -> int:
    """Per image, from what a pass holds per image of the training size: outputs grow with area."""
    size_px = recipe.image_size_px
    if recipe.methods.resolution is not None:
        size_px = recipe.methods.resolution.evaluation_px
    return round(live * (size_px / recipe.image_size_px) ** 2) + 3 * size_px**2 * _FLOAT_BYTES


def _num_evaluated(recipe: Recipe, num_workers: int) -> int:
    """Images of a worker's evaluation batch, which no micro-batch makes smaller."""
    there = None if recipe.data is None else recipe.data.num_validation
    if there is None:
        return recipe.eval_batch_size
    return min(recipe.eval_batch_size, -(-there // num_workers))


def resident_bytes(data: DataConfig | None) -> int:
    """Bytes of a data set that is kept in memory; 0 if it is not, or there is none."""
    if data is None or (num_train := data.num_train) is None:
        return 0
    others = {"digits": NUM_DIGITS["validation"] + NUM_DIGITS["test"]}
    name, settings = data.chosen
    if isinstance(settings, FakeConfig):
        num_images = num_train + 2 * settings.num_evaluation
    else:
        num_images = num_train + others.get(name, 60_000 - num_train)
    return num_images * 3 * data.image_size_px**2
