"""A process of its own that logs the winner's model, loads it again, compares, and registers it.

It has not imported `resnet_core` before the model is loaded, so what it loads is what whoever uses
the model will load: the copy of the code that lies beside the weights.
"""

import json
import os
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from sweeps.tracking.asked_once import asked_once
from sweeps.tracking.order import ALIAS, Order

_REQUIREMENTS = (
    "mlflow", "torch", "torchvision", "numpy", "pillow", "pydantic", "pyyaml", "simplejpeg",
)  # fmt: skip
_TOLERANCE = 1e-5
"""Of a probability. float32 sums of another batch size differ in the last bits: by 1e-7 here."""


class ModelDiffers(ValueError):
    """The model that was loaded back does not say what the evaluated one says."""


def register(client: MlflowClient, order: Order) -> str:
    """Log, load, compare, register.

    Args:
        client: Of the store that ``MLFLOW_TRACKING_URI`` names, too: models are loaded from there.
        order: What.

    Returns:
        The new version, which has the alias.

    Raises:
        ModelDiffers: If the comparison fails; then nothing is registered.
        MlflowException: If the store refuses something.
        OSError: If it is away.
    """
    run = client.get_run(order.run_id)
    with asked_once():
        logged = client.create_logged_model(
            run.info.experiment_id, name="classifier", source_run_id=order.run_id, tags=order.tags
        )
    try:
        epochs = client.get_metric_history(order.run_id, "epoch")
        step = max((point.step for point in epochs), default=0)
        client.log_outputs(order.run_id, [LoggedModelOutput(logged.model_id, step=step)])
        saved = Path(order.folder) / "model"
        save(order, saved, logged.artifact_location, logged.model_id)
        client.log_model_artifacts(logged.model_id, str(saved))
        compare(f"models:/{logged.model_id}", Path(order.folder))
    except Exception:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    try:
        client.create_registered_model(order.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    with asked_once():
        made = client.create_model_version(
            order.name,
            source=f"models:/{logged.model_id}",
            run_id=order.run_id,
            tags=order.tags,
            description=order.description,
            model_id=logged.model_id,
        )
    client.set_registered_model_alias(order.name, ALIAS, made.version)
    return str(made.version)


def save(order: Order, path: Path, location: str, model_id: str) -> None:
    """Write the model as MLflow wants it; nothing in it is pickled."""
    folder = Path(order.folder)
    preprocessing = json.loads((folder / "preprocessing.json").read_text())
    # A tensor in and a tensor out: a request is {"inputs": [...]}, the answer {"predictions":
    # [[...], ...]} with a row of probabilities an image, and no column names are to be agreed on.
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, *preprocessing["size_px"], 3))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, preprocessing["num_classes"]))]),
    )
    mlflow.pyfunc.save_model(
        path=str(path),
        python_model=str(Path(__file__).with_name("served_model.py")),
        artifacts={
            "weights": order.weights,
            "recipe": str(folder / "recipe.yaml"),
            "preprocessing": str(folder / "preprocessing.json"),
        },
        code_paths=[order.code],
        signature=signature,
        input_example=np.load(folder / "images.npy"),
        pip_requirements=[f"{name}=={_public_version(name)}" for name in _REQUIREMENTS],
        metadata={**order.tags, "class_names": preprocessing["class_names"]},
        mlflow_model=Model(
            artifact_path=location, model_uuid=model_id, run_id=order.run_id, model_id=model_id
        ),
    )


def compare(uri: str, folder: Path) -> None:
    """Load a model and ask it about the examples: one by one, two by two, and all at once.

    Raises:
        ModelDiffers: If any probability is not the evaluated model's.
    """
    images, expected = (np.load(folder / f"{name}.npy") for name in ("images", "probabilities"))
    fetched = folder / "fetched"  # of its own accord MLflow leaves a server's copy in /tmp for good
    fetched.mkdir()
    model = mlflow.pyfunc.load_model(uri, dst_path=str(fetched))
    for size in sorted({1, 2, len(images)}):
        found = np.concatenate([model.predict(batch) for batch in _batches(images, size)])
        if found.shape != expected.shape or not np.allclose(
            found, expected, rtol=0, atol=_TOLERANCE
        ):
            raise ModelDiffers(
                f"in batches of {size} the model that was logged says something else than the one "
                f"that was evaluated: probabilities differ by up to {_difference(found, expected)}"
            )


def _batches(images: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (images[first : first + size] for first in range(0, len(images), size))


def _difference(found: np.ndarray, expected: np.ndarray) -> str:
    if found.shape != expected.shape:
        return f"shape {found.shape} instead of {expected.shape}"
    return f"{np.abs(found - expected).max():.2g}"


def _public_version(name: str) -> str:
    return version(name).partition("+")[0]  # no index has 2.11.0+cpu


def main(drivers: str) -> None:
    """Register what comes as JSON on stdin; print the version.

    The store is that of ``MLFLOW_TRACKING_URI``. The process is there before its order is.

    Args:
        drivers: Number of a pipe whose other end the driver has: without it this process ends,
            since the next driver registers, too.
    """
    threading.Thread(target=_end_with, args=(int(drivers),), daemon=True).start()
    import torchvision  # noqa: F401  the model takes seconds to import it, and torch with it

    order: dict[str, Any] = json.loads(sys.stdin.read())
    print(register(MlflowClient(), Order(**order)), flush=True)
    os._exit(0)  # taking torch and MLflow apart takes another second


def _end_with(driver: int) -> None:
    os.read(driver, 1)  # nobody writes to it
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
