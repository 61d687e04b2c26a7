"""Loss and accuracy over a whole data set: exact sums per sample, one reduction at the end."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from resnet_core.process_group import is_distributed


class ClassificationMetrics:
    """Sums of loss, top-1 and top-5 hits over samples, kept on the device.

    Every sample counts once, whatever the batches; `compute` is the only call that waits for the
    device or talks to other workers.

    Args:
        loss: Mean loss of a batch, from logits (N, K) and class indices (N,).
        device: Where the sums live.
    """

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor], device: torch.device) -> None:
        self._loss = loss
        # Counts in float32 stop being exact at 16.7 million samples.
        self._sums = torch.zeros(4, dtype=torch.float64, device=device)
        self._num_samples = 0  # on the host: a number copied to the device would be waited for
        self._correct: list[Tensor] | None = None

    def keep_correct(self) -> None:
        """From the next batch on keep, for `correct`, a byte per sample; not kept otherwise."""
        self._correct = []

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            logits: Float (N, K).
            labels: Class indices, int64 (N,).
        """
        num_samples, num_classes = logits.shape
        top = logits.topk(min(5, num_classes), dim=1).indices
        hits = top == labels[:, None]
        logits = logits.float()
        self._sums += torch.stack(
            [
                self._loss(logits, labels).double() * num_samples,
                F.cross_entropy(logits, labels).double() * num_samples,
                hits[:, 0].sum().double(),
                hits.any(dim=1).sum().double(),
            ]
        )
        self._num_samples += num_samples
        if self._correct is not None:
            self._correct.append(hits[:, 0].clone())  # a view would keep all five columns

    def compute(self) -> dict[str, float]:
        """Means over all samples of all workers, by name.

        loss, cross_entropy (the same where that is the loss), accuracy, top5_accuracy, num_images.

        With fewer than 5 classes, top-5 accuracy is 1. In a process group this is a collective
        call: every worker makes it, and every worker gets the same values.

        Raises:
            ValueError: If no sample was added by any worker.
        """
        # This worker's own sums stay as they are, to be asked for again.
        sums = torch.cat([self._sums, self._sums.new_tensor([self._num_samples])])
        if is_distributed():
            dist.all_reduce(sums)
        loss, cross_entropy, top1, top5, num_samples = sums.tolist()
        if num_samples == 0:
            raise ValueError("no sample was added, so there is no mean")
        return {
            "loss": loss / num_samples,
            "cross_entropy": cross_entropy / num_samples,
            "accuracy": top1 / num_samples,
            "top5_accuracy": top5 / num_samples,
            "num_images": num_samples,
        }

    def correct(self) -> Tensor:
        """Which samples were classified correctly: bool (N,) on the CPU, in the order of `update`.

        In a process group this is a collective call, and the workers' samples come in the order of
        their ranks, which is the data set's where each has a consecutive share.

        Raises:
            ValueError: If they were not kept.
        """
        if self._correct is None:
            raise ValueError("nothing was kept; call keep_correct() before the first batch")
        none = torch.empty(0, dtype=torch.bool, device=self._sums.device)
        own = torch.cat([none, *self._correct]).cpu()
        if not is_distributed():
            return own
        shares: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(shares, own)  # pads nothing: shares differ by a sample
        return torch.cat(shares)
