"""The data of a trial as MLflow's data set inputs, from what the worker wrote down of it."""

import json
from typing import Any

_LONGEST_DIGEST = 36  # MLflow's limit, characters
_CONTEXTS = {"train": "training", "validation": "validation"}


def log_data(client: Any, run_id: str, data: dict[str, Any]) -> None:
    """Make training and validation split inputs of the run; doing so again changes nothing.

    Args:
        client: An `MlflowClient`.
        run_id: Of the trial.
        data: As `sweeps.storage.read_data_file` gives it.
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
