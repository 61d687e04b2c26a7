"""Epoch reports a second through the exchange, with so many simulated workers: no training.

The exchange is the real one, an actor of a private Ray. A worker is a coroutine that reports an
epoch, waits for the verdict and reports the next; the trainable of its gang is one that asks for
the item after it. Both sides' calls come from a second process, as they would from many. Prints one
JSON object.
"""

import argparse
import asyncio
import json
import time
from typing import Any

import psutil

METRICS = {"train_loss": 0.1, "val_loss": 0.2, "val_accuracy": 0.9, "val_top5_accuracy": 0.99}


class Swarm:
    """Gangs of workers, and the trainables that wait for them."""

    def __init__(self, exchange: Any, num_gangs: int, workers_per_gang: int) -> None:
        self._exchange, self._workers = exchange, workers_per_gang
        self._gangs = [f"gang-{index}" for index in range(num_gangs)]

    async def run(self, epochs: int) -> list[float]:
        """Let every gang train one trial of so many epochs; seconds that each verdict took."""
        waits: list[float] = []
        await asyncio.gather(*(self._trial(gang, epochs, waits) for gang in self._gangs))
        return waits

    async def _trial(self, gang: str, epochs: int, waits: list[float]) -> None:
        number = await self._exchange.start_trial.remote(gang, {"folder": "/nowhere"})
        ranks = (self._worker(gang, number, rank, epochs, waits) for rank in range(self._workers))
        await asyncio.gather(self._trainable(gang, epochs), *ranks)

    async def _trainable(self, gang: str, epochs: int) -> None:
        for epoch in range(epochs):
            item = await self._exchange.next_item.remote(
                gang, after_epoch=epoch, timeout_seconds=60.0
            )
            assert item["metrics"]["epoch"] == epoch + 1

    async def _worker(
        self, gang: str, number: int, rank: int, epochs: int, waits: list[float]
    ) -> None:
        for epoch in range(1, epochs + 1):
            metrics = {**METRICS, "epoch": epoch, "finished": epoch == epochs}
            item = {"kind": "epoch", "metrics": metrics} if rank == 0 else None
            began = time.perf_counter()
            goes_on = await self._exchange.report.remote(
                gang, number, epoch, item, last=epoch == epochs
            )
            waits.append(time.perf_counter() - began)
            assert goes_on == (epoch < epochs)


def measure(num_gangs: int, workers_per_gang: int, epochs: int) -> dict[str, Any]:
    """In a Ray that is there; the first epochs, in which everybody starts, are not counted."""
    import ray

    from sweeps.gang import start_exchange

    exchange = start_exchange()
    swarm_class: Any = ray.remote(Swarm)
    swarm = swarm_class.options(num_cpus=0).remote(exchange, num_gangs, workers_per_gang)
    ray.get(swarm.run.remote(2))
    (actor,) = [
        process
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [""])[0].startswith("ray::Exchange")
    ]
    before = sum(actor.cpu_times()[:2])
    began = time.perf_counter()
    waits = sorted(ray.get(swarm.run.remote(epochs)))
    seconds = time.perf_counter() - began
    cpu = sum(actor.cpu_times()[:2]) - before
    ray.kill(swarm)
    ray.kill(exchange)
    actor.wait(10)
    return {
        "workers": num_gangs * workers_per_gang,
        "gangs": num_gangs,
        "reports": len(waits),
        "reports_per_second": len(waits) / seconds,
        "exchange_cpu_ms": 1000 * cpu / len(waits),
        "median_ms": 1000 * waits[len(waits) // 2],
        "slowest_ms": 1000 * waits[-1],
    }


def main() -> None:
    """Measure each size in one private Ray."""
    from sweeps.private_ray import private_ray

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gangs", type=int, nargs="+", default=[1, 4, 16, 64, 256], metavar="N")
    parser.add_argument("--reports", type=int, default=4096, help="Of all workers together.")
    args = parser.parse_args()
    with private_ray(logging_level=40):
        alone = [measure(n, 1, max(2, args.reports // n)) for n in args.gangs]
        groups = [measure(n // 8, 8, max(2, args.reports // n)) for n in args.gangs if n >= 16]
    print(json.dumps({"alone": alone, "groups": groups}))


if __name__ == "__main__":
    main()
