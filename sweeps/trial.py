"""The Tune trainable: an ordinary one to Tune, behind which a gang does the training.

With `reuse_actors` Tune hands one trainable (so one gang) trial after trial. Its own process asks
the cluster for next to nothing, else a cluster full of trainables would wait for workers that
never fit.
"""

from typing import Any

import ray
from ray import tune

from sweeps.gang import Gang, GangConfig

LOOK_SECONDS = 2.0
"""How often a waiting trainable looks whether its gang lives; items arrive at once."""


class TrialTrainable(tune.Trainable):
    """One concurrency slot of the sweep.

    Tune's ``config`` holds the trial's ``index`` and ``folder``; the recipe lies in the folder.
    """

    def setup(self, config: dict[str, Any], gang: GangConfig | None = None) -> None:
        """Start the gang and give it its first trial."""
        assert gang is not None  # `launch` binds it
        self._gang_config = gang
        self._gang: Gang | None = None
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Give the gang its next trial; it leaves the one it had, if any."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        if self._gang is None:
            self._gang = Gang(self._gang_config)
        self._epoch = 0
        ray.get(
            self._gang_config.exchange.start_trial.remote(
                self._gang.name, {"folder": config["folder"]}
            )
        )

    def step(self) -> dict[str, Any]:
        """Wait for the trial's next epoch; asking for it is the gang's permission to train it.

        Raises:
            RuntimeError: If the gang has ended; Tune then tries the trial again on a new one.
        """
        assert self._gang is not None
        item = None
        while item is None:
            self._gang.check()
            item = ray.get(
                self._gang_config.exchange.next_item.remote(
                    self._gang.name, after_epoch=self._epoch, timeout_seconds=LOOK_SECONDS
                )
            )
        match item:
            case {"kind": "epoch", "metrics": metrics}:
                self._epoch = int(metrics["epoch"])
                return {**metrics, "kind": "epoch", "done": bool(metrics["finished"])}
            case {"kind": "failed", "reason": reason, "error": error}:
                # A returned failure is final and keeps the gang; a raised one would be retried
                # by Tune, although the same recipe fails the same way, and would cost the gang.
                return {"kind": "failed", "reason": reason, "error": error, "done": True}
            case _:
                return {"kind": "interrupted", "done": True}

    def cleanup(self) -> None:
        """Give the gang back, with all its processes."""
        if self._gang is not None:
            self._gang.close()
            self._gang = None
