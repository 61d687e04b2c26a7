"""ColOut: random rows and columns left out."""

import numpy as np
import torch
from torch import Tensor


def col_out(
    images: Tensor, *, row_ratio: float, column_ratio: float, rng: np.random.Generator
) -> Tensor:
    """Leave out the same random rows and columns of every image, which become smaller.

    Args:
        images: (N, C, H, W).
        row_ratio: Share of rows left out, in [0, 1); at least one row stays.
        column_ratio: Likewise of columns.
        rng: Drawn from twice.

    Returns:
        (N, C, H', W') with H' = floor((1 - row_ratio) * H), at least 1; likewise W'.

    Source: MosaicML Composer's method card of ColOut.
    """
    channels_last = images.is_contiguous(memory_format=torch.channels_last)
    for dim, ratio in ((2, row_ratio), (3, column_ratio)):
        length = images.shape[dim]
        num_kept = max(1, int((1 - ratio) * length + 1e-9))  # 0.7 * 10 is 6.999... in floats
        kept = np.sort(rng.permutation(length)[:num_kept])
        images = images.index_select(
            dim, torch.from_numpy(kept).to(images.device, non_blocking=True)
        )
    # index_select gives rows of whole channels.
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return images.contiguous(memory_format=layout)
