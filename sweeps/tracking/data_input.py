"""The data of a trial as MLflow's data set inputs, from what the worker wrote down of it."""

import json
from pathlib import Path
from typing import Any

from sweeps.storage import DATA_FILE

_LONGEST_DIGEST = 36  # MLflow's limit, characters
_CONTEXTS = {"train": "training", "validation": "validation"}


def read_data_file(training_folder: Path) -> dict[str, Any] | None:
    """What the worker wrote in a training's folder; None before the end of its first epoch."""
    file = training_folder / DATA_FILE
    return json.loads(file.read_text()) if file.exists() else None


def log_data(client: Any, run_id: str, data: dict[str, Any]) -> None:
    """Make training and validation split inputs of the run; doing so again changes nothing.

    Args:
        client: An `MlflowClient`.
        run_id: Of the trial.
        data: As `read_data_file` gives it.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name = data["source"]
    inputs = [
        DatasetInput(
            Dataset(
                name=name,
                digest=split["digest"][:_LONGEST_DIGEST],
                source_type="resnet_core",
                source=json.dumps({name: data["settings"], "split": split_name}),
                profile=json.dumps(
                    {"num_images": split["num_images"], "num_classes": data["num_classes"]}
                ),
            ),
            [InputTag("mlflow.data.context", _CONTEXTS[split_name])],
        )
        for split_name, split in data["splits"].items()
    ]
    client.log_inputs(run_id, datasets=inputs)
