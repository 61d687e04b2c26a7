"""How long a training waits for its batches."""

import time
from collections.abc import Generator

from resnet_core.data.loader import Batch


class AwaitedBatches:
    """Batches, and the time that passed between asking for each and having it.

    Two looks at the clock a batch. What a GPU does meanwhile is not waited for: while it has work
    left, a wait of this process costs nothing, so on a GPU the time is the most it can have cost.

    Args:
        batches: As `TrainLoader.batches` gives them.

    Attributes:
        seconds: Waited so far; whoever reads it may set it to 0.
    """

    def __init__(self, batches: Generator[Batch]) -> None:
        self._batches = batches
        self.seconds = 0.0

    def __iter__(self) -> "AwaitedBatches":
        return self

    def __next__(self) -> Batch:
        asked = time.perf_counter()
        batch = next(self._batches)
        self.seconds += time.perf_counter() - asked
        return batch

    def close(self) -> None:
        """End what loads them."""
        self._batches.close()
