"""What the gangs of a sweep have in common; apart from them, so that a driver needs no torch."""

from dataclasses import dataclass
from typing import Any, Literal

from sweeps.sections import ObjectiveConfig, ResourcesConfig


@dataclass(frozen=True)
class GangConfig:
    """What the gangs of a sweep have in common, and their workers are told.

    Attributes:
        exchange: The actor handle of the `Exchange`.
        resources: Of each gang.
        worker_counts: How many workers a gang may have, ascending.
        placement: Of them: ``STRICT_PACK`` where every gang fits on a node of its own, else
            ``PACK``, on as few nodes as there is room on.
        objective: Decides which checkpoints stay.
        storage: For Ray Train's own small files: a path, or an address in an object store.
        checkpoint_share: Of a trial's time that writing checkpoints may take.
        writes_every_epoch: Whatever that takes: the driver may want any epoch's checkpoint.
    """

    exchange: Any
    resources: ResourcesConfig
    worker_counts: tuple[int, ...]
    placement: Literal["PACK", "STRICT_PACK"]
    objective: ObjectiveConfig
    storage: str
    checkpoint_share: float
    writes_every_epoch: bool
