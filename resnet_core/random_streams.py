"""Random numbers that depend on a seed, a stream and a counter alone; needs no torch.

Nothing is carried from one draw to the next, so a training resumed at step k draws what it would
have drawn, and every worker and loader process can draw for itself.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class Stream(IntEnum):
    """What is drawn; the numbers are part of what a seed means."""

    ORDER = 1  # of the training images, per epoch
    SHIFT = 2  # and flip, per step
    IMAGE = 3  # policies and erasing of one image, per epoch and image
    MIX = 4  # mixup and cutmix, per step
    COL_OUT = 5  # per step
    DEPTH = 6  # stochastic depth, per step
    HOLD_OUT = 7  # which training images are for validation
    CROP = 8  # and flip, of images read from files, per step


def derived_seed(seed: int, stream: Stream, *counters: int) -> int:
    """A seed in [0, 2**63) of its own for these numbers, each from 0 and below 2**32.

    A stream always takes the same number of counters: numbers left out count as zeros.

    Source: numpy's `SeedSequence`, whose mixing is documented never to change.
    """
    sequence = np.random.SeedSequence([seed, stream, *counters])
    return int(sequence.generate_state(1, np.uint64)[0]) >> 1


def numpy_generator(seed: int, stream: Stream, *counters: int) -> np.random.Generator:
    """numpy's default generator for these numbers."""
    return np.random.default_rng([seed, stream, *counters])


def torch_generator(seed: int, stream: Stream, *counters: int) -> "torch.Generator":
    """A torch generator, on the CPU, for these numbers."""
    import torch

    return torch.Generator().manual_seed(derived_seed(seed, stream, *counters))


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed torch's global generator of the CPU, for code that takes no other; restored at the end.

    Threads that need it wait for one another, so trainings in several threads draw what each of
    them draws alone.
    """
    import torch

    with _global_generator, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


_global_generator = threading.Lock()


def _new_lock() -> None:
    global _global_generator
    _global_generator = threading.Lock()


# A loader process may be forked while another thread holds the lock, which nobody would release.
os.register_at_fork(after_in_child=_new_lock)
