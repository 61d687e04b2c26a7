"""A node that is about to be taken away: its trials write a checkpoint and go on elsewhere.

A node is drained by SIGTERM to its ``ray start --block`` (what Kubernetes sends to a pod), by
``ray drain-node`` or by an autoscaler. Ray starts nothing on it from then on and leaves what runs
there alone until the deadline; so there is time for the step under way and a checkpoint. A signal
to Ray's own processes leaves none: the raylet ends its workers at once, which is a kill to us.

All workers of a gang must leave after the same step, and no step may wait for a question to the
exchange. So a thread of each worker waits for the notice; when it comes, the worker promises not to
train past the step it is in before it knows where to stop, and the furthest promise is where all
of them do.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private.state import state as cluster_state

LOOK_SECONDS = 1.0
"""How often the driver asks which nodes are going; a grace time is tens of seconds."""

_log = logging.getLogger(__name__)


class Preempted(Exception):
    """The gang leaves its trial here, with a checkpoint."""


@contextmanager
def watching_nodes(exchange: Any) -> Iterator[None]:
    """Tell the exchange which nodes are about to go while the block runs."""
    done = threading.Event()

    def look() -> None:
        known: set[str] = set()
        while not done.wait(LOOK_SECONDS):
            try:
                going = set(cluster_state.get_draining_nodes())
                if not going <= known:
                    ray.get(exchange.preempt.remote(sorted(going)))
                known |= going
            except Exception:  # noqa: BLE001  a hiccup of the cluster's ends no watch
                _log.warning("cannot see which nodes are drained", exc_info=True)

    watcher = threading.Thread(target=look, name="preemption", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


class Notice:
    """What one worker knows of it; `passed` is asked after each optimizer step.

    Commands are numbered from 1 and their steps from 1, so that (command, step) tells how far a
    worker has come.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at = (0, 0)
        self._limit: tuple[int, int] | None = None
        self._stop: tuple[int, int] | None = None

    def listen(self, exchange: Any, gang: str, *, rank: int, num_workers: int) -> None:
        """Wait for the notice in a thread of its own, for as long as this process lives."""
        node = ray.get_runtime_context().get_node_id()

        def wait() -> None:
            if ray.get(exchange.notice.remote(gang, node)):
                promise = self.promise()
                self.stop_at(ray.get(exchange.agree.remote(gang, rank, num_workers, promise)))

        threading.Thread(target=wait, name="notice", daemon=True).start()

    def promise(self) -> tuple[int, int]:
        """The step after which this worker will wait until it knows where all of them stop."""
        with self._changed:
            command, step = self._at
            self._limit = (command, step + 1)
            return self._limit

    def stop_at(self, stop: tuple[int, int]) -> None:
        """Where all of them stop: the furthest that any of them has promised."""
        with self._changed:
            self._stop = stop
            self._changed.notify_all()

    def passed(self, command: int, step: int) -> bool:
        """Note that a step is completed; whether to leave after it, as all the others do."""
        with self._changed:
            self._at = (command, step)
            if self._limit is None or self._at < self._limit:
                return False
            self._changed.wait_for(lambda: self._stop is not None)
            return self._stop is not None and self._at >= self._stop
