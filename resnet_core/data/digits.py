"""The handwritten digits that come with scikit-learn."""

from typing import Any

import torch

from resnet_core.data.dataset import Split


def load_digits() -> tuple[Split, Split, Split]:
    """Train, validation and test: of each class, of every six, four, the 5th and the 6th.

    Returns:
        1,204, 297 and 296 images, uint8 (N, 3, 8, 8), grey in three channels.

    Raises:
        ModuleNotFoundError: If scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the digits come with scikit-learn; install it, or 'resnet-sweeps[sweeps]'"
        ) from error
    digits: Any = datasets.load_digits()
    grey = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8)
    images, labels = grey[:, None].expand(-1, 3, -1, -1), torch.from_numpy(digits.target).long()
    # The order is the writers': counting within each class deals every writer and class out alike.
    turn = torch.empty_like(labels)
    for label in range(10):
        is_label = labels == label
        turn[is_label] = torch.arange(int(is_label.sum())) % 6
    train, validation, test = (
        Split(images[part].contiguous(), labels[part].contiguous())
        for part in (turn < 4, turn == 4, turn == 5)
    )
    return train, validation, test
