"""A Ray Train worker group that has as many workers as there is room for, of certain numbers.

Ray Train's own elastic groups take any number between two; the numbers over which a batch does not
split are passed over here. A group that loses a node starts again with fewer workers, from the
checkpoint; once there is room for more it is started again with these.
"""

from typing import Any

from ray.train.torch import TorchTrainer
from ray.train.v2._internal.execution.scaling_policy import ElasticScalingPolicy
from ray.train.v2.api.config import ScalingConfig


class ElasticTrainer(TorchTrainer):
    """A `TorchTrainer` whose elastic group has one of ``counts`` workers."""

    def __init__(self, *args: Any, counts: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counts = counts

    def _initialize_and_run_controller(self, **controller_init_kwargs: Any) -> Any:
        if self.scaling_config.elasticity_enabled:
            policy = _CountsPolicy(self.scaling_config, self._counts)
            controller_init_kwargs["scaling_policy"] = policy
        return super()._initialize_and_run_controller(**controller_init_kwargs)


class _CountsPolicy(ElasticScalingPolicy):
    def __init__(self, scaling_config: ScalingConfig, counts: tuple[int, ...]) -> None:
        super().__init__(scaling_config)
        self._counts = counts

    def _count_possible_workers(self, reserved_resources: Any) -> int:
        possible = super()._count_possible_workers(reserved_resources)
        return max((count for count in self._counts if count <= possible), default=0)
