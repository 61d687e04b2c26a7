from collections.abc import Generator
from types import SimpleNamespace

import torch

from resnet_core import fit
from resnet_core.data import awaited
from resnet_core.data.awaited import AwaitedBatches
from resnet_core.data.loader import Batch
from tests.core.tiny_recipe import tiny_recipe

BATCH = Batch(torch.empty(0), torch.empty(0))


def test_what_counts_is_the_time_from_asking_for_a_batch_to_having_it(monkeypatch):
    clock = [0.0]

    def slow() -> Generator[Batch]:
        for seconds in (3.0, 1.0):
            clock[0] += seconds
            yield BATCH

    monkeypatch.setattr(awaited.time, "perf_counter", lambda: clock[0])
    batches = AwaitedBatches(slow())
    for batch in batches:
        assert batch is BATCH
        clock[0] += 100  # of the step
    assert batches.seconds == 4.0


def test_closing_ends_what_loads():
    ended = []

    def endless() -> Generator[Batch]:
        try:
            while True:
                yield BATCH
        finally:
            ended.append(True)

    batches = AwaitedBatches(endless())
    next(batches)
    batches.close()
    assert ended == [True]


def test_an_epoch_tells_its_own_share(monkeypatch):
    class Waited(AwaitedBatches):
        """2 s for each of the 3 batches of an epoch that takes 8 s."""

        def __next__(self) -> Batch:
            batch = super().__next__()
            self.seconds = 2.0 * ((round(self.seconds) // 2) + 1)
            return batch

    looks = iter((number // 2) * 1000.0 + (number % 2) * 8.0 for number in range(1000))
    monkeypatch.setattr("resnet_core.train.AwaitedBatches", Waited)
    clock = SimpleNamespace(perf_counter=lambda: next(looks))
    monkeypatch.setattr("resnet_core.train.time", clock)
    assert [result.data_wait_share for result in fit(tiny_recipe())] == [0.75, 0.75, 0.75]
