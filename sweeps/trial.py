"""The Tune trainable: an ordinary one to Tune, behind which a gang does the training.

The trial's folder is the memory, so what Tune saves and restores of a trial is a number: the epoch
up to which it knows the trial. With `reuse_actors` Tune hands one trainable (so one gang) trial
after trial. A gang of one trains in the trainable's own process, which asks the cluster for what
that takes. Beside a larger one the trainable asks for next to nothing, else a cluster full of
trainables would wait for workers that never fit.
"""

from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.actor import exit_actor

from sweeps.exchange import MAX_DELIVERIES
from sweeps.gang import Gang
from sweeps.gang_config import GangConfig
from sweeps.object_store import is_address
from sweeps.population.mutations import finish, inherited_epoch
from sweeps.sections import ResourcesConfig

LOOK_SECONDS = 2.0
"""How often a waiting trainable looks whether its gang lives; items arrive at once."""


def resources_of(resources: ResourcesConfig) -> dict[str, float]:
    """What the trainable's own process asks for."""
    return resources.per_worker if resources.max_workers == 1 else {"memory": 1}


def tries_of(resources: ResourcesConfig) -> int:
    """How often a trial is begun whose trainable died; each goes on from its checkpoint."""
    return MAX_DELIVERIES if resources.max_workers == 1 else 2


class TrialTrainable(tune.Trainable):
    """One concurrency slot of the sweep.

    Tune's ``config`` holds the trial's ``index``, its ``folder``, in which the recipe lies, and the
    ``rung`` whose schedule it trains, None of the whole one; it may hold a ``micro_batch_limit``.
    """

    def setup(self, config: dict[str, Any], gang: GangConfig | None = None) -> None:
        """Start the gang; the first `step` gives it its trial."""
        assert gang is not None  # `launch` binds it
        self._gang_config = gang
        self._gang: Gang | None = None
        self._node = ray.get_runtime_context().get_node_id()
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; the gang leaves the one it had when it gets it."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        if self._gang is None:
            self._gang = Gang(self._gang_config)
        self._folder: str = config["folder"]
        self._rung: int | None = config["rung"]
        self._limit: int | None = config.get("micro_batch_limit")
        self._epoch = 0
        self._has_command = False
        self._inherited_epoch = 0

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """How far Tune knows the trial; its weights are in its folder already."""
        return {"epoch": self._epoch}

    def load_checkpoint(self, checkpoint: dict[str, Any] | str | None) -> None:
        """Go on with a trial that was paused."""
        assert isinstance(checkpoint, dict)  # as it was saved
        self._epoch = checkpoint["epoch"]

    def _command_gang(self) -> None:
        """Give the gang the trial, again if it has taken over another one's weights since."""
        # Nobody takes over another trial in an object store (`sweep_checks`).
        folder = None if is_address(self._folder) else Path(self._folder)
        inherited = 0 if folder is None else inherited_epoch(folder)
        if self._has_command and inherited == self._inherited_epoch:
            return
        assert self._gang is not None
        if folder is not None:
            finish(folder)
        command = {
            "folder": self._folder,
            "after_epoch": self._epoch,
            "rung": self._rung,
            "node": self._node,
            "micro_batch_limit": self._limit,
        }
        ray.get(self._gang_config.exchange.start_trial.remote(self._gang.name, command))
        self._has_command, self._inherited_epoch = True, inherited

    def step(self) -> dict[str, Any]:
        """Wait for the trial's next epoch; asking for it is the gang's permission to train it.

        Raises:
            RuntimeError: If the gang has ended; Tune then tries the trial again on a new one.
        """
        item: Any = None
        while item is None:
            self._command_gang()
            assert self._gang is not None
            self._gang.check()
            item = ray.get(
                self._gang_config.exchange.next_item.remote(
                    self._gang.name, after_epoch=self._epoch, timeout_seconds=LOOK_SECONDS
                )
            )
            if item is not None and item["kind"] == "preempted":
                self._move()
                item = None
        match item:
            case {"kind": "epoch", "metrics": metrics}:
                self._epoch = int(metrics["epoch"])
                told = {key: value for key, value in item.items() if key != "metrics"}
                return {**metrics, **told, "done": bool(metrics["finished"])}
            case {"kind": "failed"}:
                # A returned failure is final and keeps the gang; a raised one would be retried
                # by Tune, although the same recipe fails the same way, and would cost the gang.
                return {**item, "done": True}
            case _:
                return {**item, "done": True}

    def _move(self) -> None:
        """Go on with a new gang, which Ray starts on nodes that stay; Tune does so where it is ours
        that goes, and does not count the loss of a drained node as a failure.
        """
        self.cleanup()
        if ray.get(self._gang_config.exchange.is_going.remote(self._node)):
            exit_actor()
        self._gang, self._has_command = Gang(self._gang_config), False

    def cleanup(self) -> None:
        """Give the gang back, with all its processes."""
        if self._gang is not None:
            self._gang.close()
            self._gang = None
