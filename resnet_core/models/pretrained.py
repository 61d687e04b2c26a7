"""Weights that others trained: torchvision's published ones, or a local file."""

import warnings
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import WeightsEnum, get_model_weights

from resnet_core.models.classifier import ResNetClassifier
from resnet_core.problems import CannotTrain

_HEAD = ("fc.weight", "fc.bias")
_NUM_NAMED = 3


def load_pretrained(model: ResNetClassifier) -> None:
    """Load the weights that ``model.config.pretrained`` names, if it names any.

    If they are of another number of classes, the head stays as it is and a UserWarning says so.

    Raises:
        OSError: If the weights cannot be had, or their file cannot be read; names the file.
        CannotTrain: If a local file is of another model; names some of what does not match.
    """
    config = model.config
    if config.pretrained is False:
        return
    if config.pretrained_file is not None:
        file = Path(config.pretrained_file).expanduser()
        if not file.is_file():
            raise FileNotFoundError(
                f"pretrained: there is no file {file} (seen from {Path.cwd()}); bring it there, "
                "or write pretrained: false"
            )
    else:
        assert config.published_weights is not None  # a ModelConfig allows nothing else
        file = _published_file(*config.published_weights)
    _load(model, _read_state(file), file)


def _published_file(architecture: str, weights_name: str) -> Path:
    """The file in torch's cache, downloaded if it is not there yet."""
    weights: WeightsEnum = get_model_weights(architecture)[weights_name.upper()]  # pyright: ignore[reportIndexIssue]
    file_name = weights.url.rpartition("/")[2]
    file = Path(torch.hub.get_dir()) / "checkpoints" / file_name
    if file.exists():
        return file
    digest = file_name.removesuffix(".pth").rpartition("-")[2]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(weights.url, str(file), digest, progress=False)
    # RuntimeError is how torch reports a download of the wrong digest.
    except (OSError, HTTPException, RuntimeError) as error:
        raise OSError(
            f"no weights for {architecture} ({weights_name}): {error}; bring {file_name} from "
            f"{weights.url} to {file.parent}"
        ) from error
    return file


def _read_state(file: Path) -> dict[str, Tensor]:
    with file.open("rb") as stream:
        try:
            state = torch.load(stream, map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # a damaged pickle is a damaged program: it may raise anything
            kind = type(error).__name__  # torch's words would advise to load it without the check
            raise OSError(
                f"{file} is damaged, or holds more than tensors ({kind}); replace it"
            ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CannotTrain(
            f"{file} must hold a state dict (a tensor for each parameter), got "
            f"{_some(state) if isinstance(state, dict) else type(state).__name__}; "
            "save model.state_dict() alone"
        )
    return state


def _load(model: ResNetClassifier, state: dict[str, Tensor], file: Path) -> None:
    own = model.state_dict()
    # torch before 0.4.1 did not count batches yet, and some published files are of that age.
    state = {name: own[name] for name in own if name.endswith("num_batches_tracked")} | state
    new_head = all(name in state for name in _HEAD) and _differ_in_classes(
        state["fc.weight"].shape, own["fc.weight"].shape
    )
    num_classes = len(state["fc.weight"]) if new_head else model.config.num_classes
    if new_head:
        state |= {name: own[name] for name in _HEAD}
    complaints = [
        f"{len(names)} {what} ({_some(names)})"
        for what, names in {
            "missing": own.keys() - state.keys(),
            "unknown": state.keys() - own.keys(),
            "of another shape": {
                name for name in own.keys() & state.keys() if own[name].shape != state[name].shape
            },
        }.items()
        if names
    ]
    if complaints:
        raise CannotTrain(
            f"{file} is not of this {model.config.name}: {', '.join(complaints)}; set name, "
            "groups, width_per_group, initial_stem and squeeze_excite as when it was saved"
        )
    if new_head:
        warnings.warn(
            f"{file.name} has {num_classes} classes, the model {model.config.num_classes}: "
            "its trunk is loaded, the head (fc) is new",
            stacklevel=2,
        )
    model.load_state_dict(state)


def _differ_in_classes(theirs: torch.Size, ours: torch.Size) -> bool:
    return theirs[1:] == ours[1:] and theirs[:1] != ours[:1]


def _some(names: Iterable[object]) -> str:
    ordered = sorted(map(str, names))
    return ", ".join(ordered[:_NUM_NAMED]) + (", ..." if len(ordered) > _NUM_NAMED else "")
