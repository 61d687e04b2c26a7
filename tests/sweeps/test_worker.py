import errno

import pytest
import torch

from resnet_core.data.dataset import BadImage, BadSample
from resnet_core.manifest import CorruptCheckpoint
from resnet_core.micro_batch import MicroBatchTooLarge
from resnet_core.train import NonFiniteLoss
from sweeps.worker import StorageFailed, failure, reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NonFiniteLoss(3, 0.1, None), "nan"),
        (torch.OutOfMemoryError("CUDA"), "oom"),
        (MicroBatchTooLarge(8), "oom"),
        (MemoryError(), "oom"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough"), "oom"),
        (FileNotFoundError(errno.ENOENT, "No such file", "train/cat.jpg"), "data"),
        (BadImage("train/cat.jpg: truncated", "train/cat.jpg"), "data"),
        (BadSample("image 7: must be an image and its label"), "data"),
        (StorageFailed("the trial's folder: No space left on device"), "storage"),
        (CorruptCheckpoint("ep0003/model.pt: its sha256 is not the manifest's"), "storage"),
        (OSError(errno.ENOSPC, "No space left on device"), "storage"),
        (ConnectionResetError(), "error"),
        (TimeoutError(), "error"),
        (RuntimeError("shape mismatch"), "error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_a_failure_has_a_word_for_its_kind(error, reason):
    assert reason_of(error) == reason


def test_out_of_memory_with_auto_says_which_micro_batch_was_in_use():
    assert failure(MicroBatchTooLarge(8))["micro_batch_size"] == 8
    assert "micro_batch_size" not in failure(torch.OutOfMemoryError("CUDA"))


def test_a_data_error_names_the_file():
    try:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "train/cat.jpg")
    except FileNotFoundError as error:
        item = failure(error)
    assert item["error"].splitlines()[-1].endswith("'train/cat.jpg'")
