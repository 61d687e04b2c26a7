"""The trusted implementation of `fit`: plain torch and torchvision, one process."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from resnet_core import Recipe
from resnet_core.data.loader import TrainLoader
from resnet_core.data.sources import load_data

NEAR = 1e-5
"""Of `PlainTraining.distance`, which is 0 where every sum is taken in the same order. To that end
memory layout and fused update are those of `fit`. With kernels that round otherwise the distance is
4e-6, but now and then ReLU opens for a unit next to 0 in one of the two only: then up to 0.25."""


@dataclass
class PlainTraining:
    """What plain torch makes of a recipe's first epoch.

    Attributes:
        start: The model before its first step.
        models: Every worker's model after the last; equal but for running statistics.
        step_losses: Mean over the workers.
    """

    start: nn.Module
    models: list[nn.Module]
    step_losses: list[float] = field(default_factory=list)

    def distance(self, state: dict[str, Tensor]) -> float:
        """How far a state's weights are from the trusted ones, over how far those have moved."""
        found = torch.cat([state[name].flatten() for name, _ in self.start.named_parameters()])
        start, trusted = (
            torch.cat([weight.detach().flatten() for weight in model.parameters()])
            for model in (self.start, self.models[0])
        )
        return float((found - trusted).norm() / (trusted - start).norm())

    def running_statistics(self) -> dict[str, Tensor]:
        """Mean over the workers."""
        states = [model.state_dict() for model in self.models]
        names = [name for name in states[0] if "running_" in name]
        return {name: torch.stack([state[name] for state in states]).mean(0) for name in names}


def train_by_hand(
    recipe: Recipe, num_workers: int, multipliers: Sequence[float] = (1, 1, 1)
) -> PlainTraining:
    """Train a recipe's first epoch with torch's SGD.

    Args:
        recipe: Its optimizer is sgd, it has 3 steps an epoch and shifts no image.
        num_workers: Each normalises its own share of the batch; their gradients are averaged.
        multipliers: Of the learning rate, step by step.
    """
    assert recipe.data is not None
    assert recipe.optimizer.sgd is not None
    num_classes, sgd = recipe.model.num_classes, recipe.optimizer.sgd
    torch.manual_seed(recipe.seed)
    start = torchvision.models.resnet18(num_classes=num_classes)
    start = start.to(memory_format=torch.channels_last)
    training = PlainTraining(start, [copy.deepcopy(start) for _ in range(num_workers)])
    optimizers = [
        torch.optim.SGD(
            model.parameters(),
            lr=sgd.learning_rate,
            momentum=sgd.momentum,
            weight_decay=sgd.weight_decay,
            fused=True,
        )
        for model in training.models
    ]
    data = load_data(recipe.data, num_classes, torch.device("cpu"))
    loader = TrainLoader(
        data,
        batch_size=recipe.train_batch_size,
        seed=recipe.seed,
        rank=0,
        num_workers=1,
        settings=recipe.data.chosen[1],
        methods=recipe.methods,
        train_px=recipe.image_size_px,
        num_processes=0,
    )
    batches = loader.batches(0, loader.steps_per_epoch)
    for multiplier, batch in zip(multipliers, batches, strict=True):
        images = ((batch.images - data.mean) / data.std).to(memory_format=torch.channels_last)
        shares = zip(images.chunk(num_workers), batch.labels.chunk(num_workers), strict=True)
        losses = []
        for model, (own_images, own_labels) in zip(training.models, shares, strict=True):
            model.zero_grad()
            loss = F.cross_entropy(model(own_images), own_labels)
            loss.backward()
            losses.append(loss.item())
        training.step_losses.append(sum(losses) / num_workers)
        for weights in zip(*(model.parameters() for model in training.models), strict=True):
            mean = torch.stack([weight.grad for weight in weights]).mean(dim=0)
            for weight in weights:
                # In place: torch's fused SGD goes wrong where gradient and weight differ in layout.
                weight.grad.copy_(mean)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = sgd.learning_rate * multiplier
            optimizer.step()
    return training
