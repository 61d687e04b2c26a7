# pyright: reportMissingImports=false
"""Loops without a framework: bare, hand-written, ours, those of torchvision's and timm's scripts.

torchvision's reference and timm's training script are in no package, so their loops are written
here as they go: what they read, when they wait for the device, and how often they log.
"""

import datetime
import logging
import time
from collections import defaultdict, deque
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.loop_task import LOG_EVERY_STEPS, Feed, Task, TinyNet, Training
from resnet_core import fit, training
from resnet_core.training import Training as FitTraining

_LOG = logging.getLogger(__name__)


def bare(one: Training) -> dict[str, Any]:
    """Forward, loss, backward, step: what every loop does, and nothing else."""
    one.model.train()
    for images, labels in one.feed:
        one.optimizer.zero_grad()
        F.cross_entropy(one.model(images), labels).backward()
        one.optimizer.step()
    return {}


class BareSteps:
    """The bare loop, one step at a time, with a model, an optimizer and batches of its own."""

    def __init__(self, task: Task) -> None:
        self._feed, self._model = Feed(task), task.model().train()
        self._optimizer = task.optimizer(self._model)

    def take(self, step: int) -> None:
        """Train on the batch of that step."""
        images, labels = self._feed[step]
        self._optimizer.zero_grad()
        F.cross_entropy(self._model(images), labels).backward()
        self._optimizer.step()


def by_hand(one: Training) -> dict[str, Any]:
    """Loss and top-1 added up on the device, read at the end: the best one can write."""
    one.model.train()
    loss_sum, hits = torch.zeros(()), _Hits(one.task)
    for images, labels in one.feed:
        one.optimizer.zero_grad()
        logits = one.model(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        one.optimizer.step()
        loss_sum += loss.detach()
        hits.count(logits, labels)
    return _means(loss_sum.item() / len(one.feed), hits.mean())


class _Hits:
    """Top-1 of training batches: a byte a sample, written on the device, added up at the end."""

    def __init__(self, task: Task) -> None:
        self._all = torch.zeros(task.steps, task.batch_size, dtype=torch.bool)
        self._steps = iter(self._all.unbind())

    def count(self, logits: Tensor, labels: Tensor) -> None:
        """Of the next step."""
        torch.eq(logits.detach().argmax(1), labels, out=next(self._steps))

    def mean(self) -> float:
        """Over all steps."""
        return self._all.float().mean().item()


def ours(one: Training) -> dict[str, Any]:
    """`resnet_core.fit`, which tracks the loss of every step and top-1 on the validation split."""
    return {"loss": _fit(one, None)}


def ours_top1(one: Training) -> dict[str, Any]:
    """The same with top-1 of the training batches, counted around the model's loss."""
    hits = _Hits(one.task)

    def count(model: Any) -> None:
        loss_of = model.loss

        def loss(logits: Tensor, targets: Tensor) -> Tensor:
            hits.count(logits, targets)
            return loss_of(logits, targets)

        model.loss = loss

    loss = _fit(one, count)
    return _means(loss, hits.mean())


def _fit(one: Training, prepare: Any) -> float:
    """Train with `resnet_core.fit` as it is, but for the model, which no recipe can name."""
    task = one.task

    def build(*_: Any) -> nn.Module:
        model = TinyNet(task.depth)  # fit has set the seed
        if prepare is not None:
            prepare(model)
        return model

    def after_step(current: FitTraining) -> None:
        one.clock.mark(current.step)

    with mock.patch.object(training, "build_model", build):
        (result,) = fit(task.recipe, device="cpu", after_step=after_step)
    _LOG.info("%s", result.metrics())
    return result.train_loss


class _Meter:
    """A value's last twenty readings and its mean so far, as torchvision's reference shows them."""

    def __init__(self) -> None:
        self.window: deque[float] = deque(maxlen=20)
        self.total, self.count = 0.0, 0

    def update(self, value: float, count: int = 1) -> None:
        self.window.append(value)
        self.total += value * count
        self.count += count

    def __str__(self) -> str:
        return f"{torch.tensor(list(self.window)).median().item():.4f} ({self.mean:.4f})"

    @property
    def mean(self) -> float:
        """Of all readings."""
        return self.total / self.count


def torchvision_reference(one: Training) -> dict[str, Any]:
    """Loss, top-1, top-5, rate and times read each step into meters; a line every 10 steps."""
    model, optimizer, steps = one.model.train(), one.optimizer, len(one.feed)
    meters: dict[str, _Meter] = defaultdict(_Meter)
    iteration, waiting, asked_at = _Meter(), _Meter(), time.time()
    criterion = nn.CrossEntropyLoss()
    for step, (images, labels) in enumerate(one.feed):
        waiting.update(time.time() - asked_at)
        started = time.time()
        logits = model(images)
        loss = criterion(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        top1, top5 = _percent_correct(logits, labels, (1, 5))
        meters["loss"].update(loss.item())
        meters["lr"].update(optimizer.param_groups[0]["lr"])
        meters["acc1"].update(top1.item(), len(images))
        meters["acc5"].update(top5.item(), len(images))
        meters["img/s"].update(len(images) / (time.time() - started))
        iteration.update(time.time() - asked_at)
        if step % 10 == 0 or step == steps - 1:
            eta = datetime.timedelta(seconds=int(iteration.mean * (steps - step)))
            values = "  ".join(f"{name}: {meter}" for name, meter in meters.items())
            print(f"[{step}/{steps}]  eta: {eta}  {values}  time: {iteration}  data: {waiting}")
        asked_at = time.time()
    return _means(meters["loss"].mean, meters["acc1"].mean / 100)


@torch.inference_mode()
def _percent_correct(logits: Tensor, labels: Tensor, ks: tuple[int, ...]) -> list[Tensor]:
    hits = logits.topk(max(ks), dim=1).indices.t() == labels[None]
    return [hits[:k].flatten().sum(dtype=torch.float32) * (100.0 / len(labels)) for k in ks]


def timm_script(one: Training) -> dict[str, Any]:
    """timm's script: its task and meters; the loss read each step, a line every 50."""
    return _timm(one, with_top1=False)


def timm_script_top1(one: Training) -> dict[str, Any]:
    """The same with top-1 by timm's own `accuracy`, as its validation does."""
    return _timm(one, with_top1=True)


def _timm(one: Training, *, with_top1: bool) -> dict[str, Any]:
    from timm.task import ClassificationTask
    from timm.utils import AverageMeter, accuracy

    task = ClassificationTask(one.model, nn.CrossEntropyLoss(), device=torch.device("cpu"))
    task.train()
    data_time, update_time, losses, top1 = (AverageMeter() for _ in range(4))
    optimizer, steps, asked_at = one.optimizer, len(one.feed), time.time()
    update_started = time.time()
    optimizer.zero_grad()
    for step, (images, labels) in enumerate(one.feed):
        data_time.update(time.time() - asked_at)
        result = task(images, labels)
        loss = result["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.update(loss.item(), len(images))
        if with_top1:
            top1.update(accuracy(result["output"], labels)[0].item(), len(images))
        now = time.time()
        update_time.update(now - update_started)
        update_started = now
        if step % LOG_EVERY_STEPS == 0 or step == steps - 1:
            rate = sum(group["lr"] for group in optimizer.param_groups)
            _LOG.info(
                "Train: [%d/%d]  Loss: %.3g (%.3g)  Time: %.3fs, %.2f/s  LR: %.3e  Data: %.3f",
                step, steps, losses.val, losses.avg, update_time.val,
                len(images) / update_time.val, rate, data_time.avg,
            )  # fmt: skip
        asked_at = time.time()
    return _means(losses.avg, top1.avg / 100) if with_top1 else {"loss": losses.avg}


def _means(loss: float, top1: float) -> dict[str, Any]:
    return {"loss": loss, "top1": top1}
