"""Label smoothing: targets that leave a little probability to every class."""

import torch.nn.functional as F
from torch import Tensor


def smooth_labels(labels: Tensor, *, num_classes: int, smoothing: float) -> Tensor:
    """Class probabilities of ``1 - smoothing`` for the label, and ``smoothing`` spread over all.

    Args:
        labels: Class indices, int64 (N,).
        num_classes: K.
        smoothing: In [0, 1); 0 gives one-hot rows.

    Returns:
        Float32 (N, K), each row summing to 1.

    Source: Szegedy et al. 2015, arXiv:1512.00567, section 7.
    """
    one_hot = F.one_hot(labels, num_classes).float()
    return one_hot * (1 - smoothing) + smoothing / num_classes
