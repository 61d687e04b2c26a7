"""A gang: the workers of one concurrency slot, which stay up and train one trial after another.

Process start, imports, the process group and the data set in memory are paid once per gang, not
once per trial. `worker.serve` is what its workers run; `exchange.py` is how they are told what.
"""

import threading
import uuid
from typing import Any

import ray
from ray.util import remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.exchange import Exchange
from sweeps.gang_config import GangConfig

MAX_RESTARTS = 20
"""Of one gang's workers; then its trial is tried again on a gang of its own. A trial that kills
its workers is given up by the exchange long before."""


def start_exchange() -> Any:
    """Start the sweep's exchange as an actor on the driver's node, without a CPU of its own."""
    # The limit is on waiting calls, one per worker and trainable, not on threads.
    actor_class: Any = ray.remote(Exchange)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return actor_class.options(
        num_cpus=0, max_concurrency=100_000, scheduling_strategy=here
    ).remote()


class Gang:
    """Workers that are starting or up, seen from the trainable that owns them.

    Several are a Ray Train group, whose `TorchTrainer` runs in a thread of the trainable's process,
    so that the gang dies with its owner: Ray ends the actors of a dead owner. One alone has nobody
    to be grouped with and is that thread, without Ray Train's controller and its helpers.
    """

    def __init__(self, config: GangConfig) -> None:
        self.name = f"gang-{uuid.uuid4().hex[:12]}"  # new each time: Train resumes by name
        self._config = config
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # torch is imported here, by the processes that train, and by no driver.
        from sweeps.worker import serve

        try:
            if self._config.resources.max_workers == 1:
                serve(self.name, self._config)
            else:
                self._run_group()
        except Exception as failure:  # noqa: BLE001  raised again by check(), in the trainable
            self._failure = failure

    def _run_group(self) -> None:
        from ray.train import FailureConfig, RunConfig, ScalingConfig

        from sweeps.elastic_trainer import ElasticTrainer
        from sweeps.worker import serve_in_group

        resources, counts = self._config.resources, self._config.worker_counts
        trainer = ElasticTrainer(
            serve_in_group,
            counts=counts,
            train_loop_config={"gang": self.name, "config": self._config},
            scaling_config=ScalingConfig(
                num_workers=counts[0] if len(counts) == 1 else (counts[0], counts[-1]),
                use_gpu=resources.gpus_per_worker > 0,
                resources_per_worker=resources.per_worker,
                placement_strategy=self._config.placement,
            ),
            run_config=RunConfig(
                name=self.name,
                storage_path=self._config.storage,
                failure_config=FailureConfig(max_failures=MAX_RESTARTS),
            ),
        )
        trainer.fit()

    def check(self) -> None:
        """Raise RuntimeError if the gang has ended although nobody closed it."""
        if not self._thread.is_alive():
            raise RuntimeError(f"{self.name} has ended: {self._failure}") from self._failure

    def close(self, *, tries: int = 6, timeout_seconds: float = 10.0) -> None:
        """Let idle workers leave; take the resources from workers that are still training.

        Workers that are only just starting leave by themselves once they are up. With or without
        Ray's dashboard, processes and placement group are given back when this returns.
        """
        for _ in range(tries):
            placement_group: Any = ray.get(self._config.exchange.close.remote(self.name))
            self._thread.join(timeout_seconds)
            if not self._thread.is_alive():
                ray.get(self._config.exchange.leave.remote(self.name))
                return
            if placement_group is not None:
                remove_placement_group(placement_group)


def remove_abandoned_gangs(exchange: Any, *, timeout_seconds: float = 20.0) -> None:
    """Take back what gangs hold whose trainable Tune has ended in the middle of giving it back.

    Tune waits some seconds for that, which a loaded machine may not keep to. Without this the next
    thing that needs a CPU of the cluster would wait for ever.
    """
    for placement_group in ray.get(exchange.abandoned.remote(timeout_seconds=timeout_seconds)):
        remove_placement_group(placement_group)
