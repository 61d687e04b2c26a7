"""What the driver tells the process that registers the winner; imports neither MLflow nor torch."""

from dataclasses import dataclass

ALIAS = "champion"


@dataclass(frozen=True)
class Order:
    """What to register.

    Attributes:
        name: Of the registered model.
        run_id: Of the winner's run.
        folder: What `packing.pack` wrote.
        weights: File of the state dict of the model that was evaluated.
        code: The folder of the package `resnet_core`.
        description: Of the version.
        tags: Of the version, by which it is found again.
    """

    name: str
    run_id: str
    folder: str
    weights: str
    code: str
    description: str
    tags: dict[str, str]
