# pyright: reportMissingImports=false
"""The loop of each framework, as its documentation has a user write it.

Loss and top-1 are tracked in each with what it offers for that, where the choice is free in the
cheapest way, on the device. Logging, progress bars and intervals are left at their defaults. A loop
that takes any iterable gets the feed itself, without a DataLoader.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.loop_task import LOG_EVERY_STEPS, Feed, Training


class _Batches(Dataset[tuple[Tensor, Tensor]]):
    """The feed by index, for those who want a DataLoader."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def __len__(self) -> int:
        return len(self._feed)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._feed[index]


def _loader(feed: Feed) -> DataLoader[Any]:
    return DataLoader(_Batches(feed), batch_size=None)


def lightning_trainer(one: Training) -> dict[str, Any]:
    """A LightningModule that logs loss and top-1; logger, bar and checks at their defaults."""
    return _lightning(one)


def lightning_silent(one: Training) -> dict[str, Any]:
    """The same without logger, progress bar and model summary."""
    return _lightning(one, logger=False, enable_progress_bar=False, enable_model_summary=False)


def _lightning(one: Training, **options: Any) -> dict[str, Any]:
    import lightning

    class Classifier(lightning.LightningModule):
        """The task."""

        def __init__(self) -> None:
            super().__init__()
            self.model = one.model

        def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
            images, labels = batch
            logits = self.model(images)
            loss = F.cross_entropy(logits, labels)
            top1 = (logits.detach().argmax(1) == labels).float().mean()
            self.log("train_loss", loss, on_step=True, on_epoch=True, batch_size=len(labels))
            self.log("train_top1", top1, on_step=True, on_epoch=True, batch_size=len(labels))
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return one.optimizer

    with TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            devices=1,
            enable_checkpointing=False,
            default_root_dir=folder,
            **options,
        )
        trainer.fit(Classifier(), one.feed)
    seen = trainer.callback_metrics
    return {"loss": seen["train_loss_epoch"].item(), "top1": seen["train_top1_epoch"].item()}


def fabric(one: Training) -> dict[str, Any]:
    """Fabric around a hand-written loop, its CSV logger every 50 steps."""
    from lightning.fabric import Fabric
    from lightning.fabric.loggers.csv_logs import CSVLogger

    with TemporaryDirectory() as folder:
        fabric = Fabric(accelerator="cpu", devices=1, loggers=CSVLogger(folder))
        fabric.launch()
        model, optimizer = fabric.setup(one.model, one.optimizer)
        model.train()
        loss_sum, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for step, (images, labels) in enumerate(one.feed):
            optimizer.zero_grad()
            logits = model(images)
            loss = F.cross_entropy(logits, labels)
            fabric.backward(loss)
            optimizer.step()
            loss_sum += loss.detach()
            hits += (logits.detach().argmax(1) == labels).sum()
            if step % LOG_EVERY_STEPS == 0:
                fabric.log("train_loss", loss.detach(), step=step)
    return _means(one, loss_sum, hits)


def accelerate(one: Training) -> dict[str, Any]:
    """Accelerate around a hand-written loop; logs once, after the epoch, as its examples do."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model, optimizer, loader = accelerator.prepare(one.model, one.optimizer, _loader(one.feed))
    model.train()
    loss_sum, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
    for images, labels in loader:
        optimizer.zero_grad()
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        accelerator.backward(loss)
        optimizer.step()
        loss_sum += loss.detach()
        hits += (logits.detach().argmax(1) == labels).sum()
    accelerator.log({"train_loss": loss_sum.item() / len(one.feed)})
    return _means(one, loss_sum, hits)


def ignite(one: Training) -> dict[str, Any]:
    """`create_supervised_trainer`, running mean of the loss, `Accuracy`, a line every 100 steps."""
    from ignite.engine import Events, create_supervised_trainer
    from ignite.metrics import Accuracy, Average

    def output(images: Tensor, labels: Tensor, logits: Tensor, loss: Tensor) -> Any:
        return {"y_pred": logits.detach(), "y": labels, "loss": loss.item()}

    one.model.train()
    trainer = create_supervised_trainer(
        one.model, one.optimizer, torch.nn.CrossEntropyLoss(), output_transform=output
    )
    Average(output_transform=lambda out: out["loss"]).attach(trainer, "loss")
    Accuracy(output_transform=lambda out: (out["y_pred"], out["y"])).attach(trainer, "top1")

    @trainer.on(Events.ITERATION_COMPLETED(every=100))
    def log(engine: Any) -> None:
        print(f"Epoch[{engine.state.epoch}] Iteration[{engine.state.iteration}] "
              f"Loss: {engine.state.output['loss']:.2f}")  # fmt: skip

    trainer.run(one.feed, max_epochs=1)
    return {name: float(trainer.state.metrics[name]) for name in ("loss", "top1")}


def hugging_face(one: Training) -> dict[str, Any]:
    """`Trainer` with the same optimizer and no clipping; bar and logging at their defaults."""
    from transformers import Trainer, TrainingArguments

    hits = torch.zeros((), dtype=torch.int64)

    class Classifier(torch.nn.Module):
        """The tiny model with the loss inside, as `Trainer` wants it."""

        def __init__(self) -> None:
            super().__init__()
            self.model = one.model

        def forward(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.model(images)
            hits.add_((logits.detach().argmax(1) == labels).sum())
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    class OurBatches(Trainer):
        """Batches that are ready."""

        def get_train_dataloader(self) -> DataLoader[Any]:
            return _loader(one.feed)

    class Named(Feed):
        """Batches as `Trainer` wants them: arguments of forward by name."""

        def __getitem__(self, step: int) -> Any:
            images, labels = super().__getitem__(step)
            return {"images": images, "labels": labels}

    one.feed.__class__ = Named
    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=str(Path(folder)),
            num_train_epochs=1,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            max_grad_norm=0.0,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(one.optimizer, lambda step: 1.0)
        trainer = OurBatches(
            model=Classifier(),
            args=arguments,
            train_dataset=_Batches(one.feed),
            optimizers=(one.optimizer, schedule),
        )
        loss = trainer.train().training_loss
    return {"loss": loss, "top1": hits.item() / len(one.feed) / one.task.batch_size}


def _means(one: Training, loss_sum: Tensor, hits: Tensor) -> dict[str, Any]:
    steps = len(one.feed)
    return {"loss": loss_sum.item() / steps, "top1": hits.item() / steps / one.task.batch_size}
