"""One optimizer step: forward and backward over the micro-batches, and what comes after."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from resnet_core.methods.gradient_clipping import clip_gradients
from resnet_core.methods.sam import uphill
from resnet_core.methods.section import StochasticDepthConfig
from resnet_core.methods.stochastic_depth import draw_factors
from resnet_core.precision import autocast
from resnet_core.problems import CannotTrain
from resnet_core.process_group import is_distributed, rank_and_num_workers
from resnet_core.random_streams import Stream, torch_generator
from resnet_core.training import Training

# torch 2.15 gives DDP's switch a new name and warns of the old one. Running statistics are averaged
# once per epoch instead of broadcast at each step.
_NO_BUFFER_SYNC: dict[str, Any] = {
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers": False
}


class OptimizerStep:
    """Takes the optimizer steps of a training; never waits for the device.

    Args:
        training: Changed in place.
        micro_batch_size: Images that go forward and backward at a time, at least 1.
    """

    def __init__(self, training: Training, micro_batch_size: int) -> None:
        recipe, model = training.recipe, training.model
        self.micro_batch_size = micro_batch_size
        self._training = training
        self._weights = list(model.parameters())
        # Looked up once: a recipe's sections take microseconds to ask for at each step.
        methods = recipe.methods
        self._sam, self._depth = methods.sam, methods.stochastic_depth
        self._clipping = methods.gradient_clipping
        self._autocast = autocast(recipe.precision, training.epoch_log.device)
        # From a checkpoint all have read the same weights, and each has statistics of its own: no
        # broadcast of rank 0's.
        begins = training.step == 0
        self._ddp = (
            DistributedDataParallel(model, init_sync=begins, **_NO_BUFFER_SYNC)
            if is_distributed()
            else None
        )
        self._network: Callable[..., Tensor] = self._ddp or model
        if recipe.compile:
            # Shapes are fixed, since partial batches are dropped; where images grow, the second
            # size makes one graph for all.
            dynamic = None if recipe.methods.progressive_resizing else False
            self._network = torch.compile(self._network, dynamic=dynamic)

    def take(self, images: Tensor, targets: Tensor) -> Tensor:
        """Train this worker's share of a batch, at the learning rate that the optimizer has.

        Args:
            images: Float (N, 3, H, W).
            targets: Class indices (N,) or probabilities (N, K).

        Returns:
            The share's mean loss at the weights before the step, a scalar on the device.
        """
        training, sam = self._training, self._sam
        optimizer, scaler = training.optimizer, training.scaler
        factors = None if self._depth is None else self._depth_factors(self._depth, images)
        loss = self._gradients(images, targets, factors)
        if sam is not None and (training.step + 1) % sam.interval == 0:
            with uphill(training.model, rho=sam.rho):
                self._gradients(images, targets, factors)
        if self._clipping is not None:
            scaler.unscale_(optimizer)
            clip_gradients(self._weights, self._clipping)
        scaler.step(optimizer)
        scaler.update()
        training.step += 1
        if training.ema is not None:
            training.ema.update(training.model, training.step)
        return loss

    def _gradients(self, images: Tensor, targets: Tensor, factors: Tensor | None) -> Tensor:
        """Replace the gradients by those of the batch's mean loss, averaged over the workers."""
        self._training.optimizer.zero_grad(set_to_none=True)
        num_images = len(images)
        if num_images <= self.micro_batch_size:
            return self._add_gradients(images, targets, factors)
        total = torch.zeros((), device=images.device)
        for begin in range(0, num_images, self.micro_batch_size):
            part = slice(begin, begin + self.micro_batch_size)
            waits = self._ddp is not None and part.stop < num_images
            with self._ddp.no_sync() if self._ddp is not None and waits else nullcontext():
                total += self._add_gradients(
                    images[part],
                    targets[part],
                    None if factors is None else factors[:, part],
                    num_images=num_images,
                )
        return total

    def _add_gradients(
        self,
        images: Tensor,
        targets: Tensor,
        factors: Tensor | None,
        *,
        num_images: int | None = None,
    ) -> Tensor:
        """Go forward and backward once; return these images' part of the mean of ``num_images``."""
        training = self._training
        with self._autocast:
            logits = self._forward(images, factors)
        loss = training.model.loss(logits.float(), targets)
        if num_images is not None:
            # Gradients add up over micro-batches; the weight keeps the learning rate independent
            # of their number.
            loss = loss * (len(logits) / num_images)
        training.scaler.scale(loss).backward()
        return loss.detach()

    def _forward(self, images: Tensor, factors: Tensor | None) -> Tensor:
        try:
            return self._network(images) if factors is None else self._network(images, factors)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise CannotTrain(
                f"batch norm needs more than the one image of {images.shape[-1]} px that a worker "
                "has at a time; raise train_batch_size or micro_batch_size, or write "
                "model.initial_stem: cifar for small images"
            ) from error

    def _depth_factors(self, config: StochasticDepthConfig, images: Tensor) -> Tensor:
        training, share = self._training, len(images)
        rank, num_workers = rank_and_num_workers()
        factors = draw_factors(
            config,
            num_blocks=len(training.model.blocks),
            num_images=share * num_workers,
            generator=torch_generator(training.recipe.seed, Stream.DEPTH, training.step),
        )
        own = factors[:, rank * share : (rank + 1) * share]
        return own.contiguous().to(images.device, non_blocking=True)
