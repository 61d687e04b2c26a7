"""The winner as MLflow loads it: a model from code, which needs nothing of `sweeps`.

MLflow runs this file wherever the model is loaded, with a copy of `resnet_core` before all else on
the path. What was trained comes as a state dict and plain data, so no pickled object is read. torch
is imported once a model is loaded: to log one, it is not needed.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow.models.model import set_model
from mlflow.pyfunc.model import PythonModel

if TYPE_CHECKING:
    from resnet_core.predictor import Predictor


class ServedResNet(PythonModel):
    """Raw images in, class probabilities out."""

    _predictor: "Predictor"

    def load_context(self, context: Any) -> None:
        """Build the model in evaluation mode.

        Args:
            context: With the artifacts ``weights`` (a state dict), ``recipe`` (YAML) and
                ``preprocessing`` (JSON: mean, std, streamed).
        """
        import torch

        from resnet_core import Recipe
        from resnet_core.predictor import Predictor

        files = {name: Path(path) for name, path in context.artifacts.items()}
        preprocessing = json.loads(files["preprocessing"].read_text())
        self._predictor = Predictor(
            Recipe.from_yaml(files["recipe"]),
            torch.load(files["weights"], map_location="cpu", weights_only=True),
            mean=preprocessing["mean"],
            std=preprocessing["std"],
            streamed=preprocessing["streamed"],
        )

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride] (declared to give None)
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """Class probabilities, float32 (N, K), of images, uint8 (N, H, W, 3), RGB; any N."""
        return self._predictor.probabilities(model_input).numpy()


set_model(ServedResNet())
