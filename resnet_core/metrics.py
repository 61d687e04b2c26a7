"""Loss and accuracy over a whole data set: exact sums per sample, one reduction at the end."""

from collections.abc import Callable

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
