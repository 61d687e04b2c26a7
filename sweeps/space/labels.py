"""Short names of trials and of what varies in them, for tables, panels and MLflow."""

from typing import Any

from sweeps.space.conditions import canonical

_SHORT_NAMES = {
    "lr_schedulers": "schedule",
    "learning_rate": "lr", "width_per_group": "width", "train_batch_size": "batch",
    "weight_decay": "decay", "linear_warmup": "warmup", "cosine_decay": "cosine",
    "step_decay": "step", "max_duration": "length",
}  # fmt: skip
_LONGEST_SUBTREE = 48


def label(overrides: dict[str, Any]) -> str:
    """Short text that names a trial: ``lr=0.8 width=16``; floats to 3 significant digits."""
    return " ".join(
        f"{name}={short_value(value)}"
        for name, value in zip(short_names(list(overrides)), overrides.values(), strict=True)
    )


def short_names(paths: list[str]) -> list[str]:
    """The last part of each path, with as many parts before it as it takes to tell them apart."""
    parts = {path: _short_parts(path) for path in paths}
    names: list[str] = []
    for path in paths:
        name = path
        for count in range(1, len(parts[path]) + 1):
            name = ".".join(parts[path][-count:])
            if sum(".".join(other[-count:]) == name for other in parts.values()) == 1:
                break
        names.append(name)
    return names


def _short_parts(path: str) -> list[str]:
    if path == "model.name":
        return ["model"]
    return [_SHORT_NAMES.get(part, part) for part in path.split(".")]


def short_value(value: Any) -> str:
    """A value of a recipe as a few characters; floats to 3 significant digits."""
    if isinstance(value, bool) or value is None:
        return canonical(value)
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ",".join(short_value(item) for item in value)
    if isinstance(value, dict):
        text = _short_subtree(value)
        return text if len(text) <= _LONGEST_SUBTREE else f"{text[:_LONGEST_SUBTREE]}~"
    return str(value)


def _short_subtree(tree: dict[str, Any]) -> str:
    parts = []
    for key, value in tree.items():
        if isinstance(value, dict):
            inner = ",".join(short_value(item) for item in value.values() if item is not None)
            parts.append(f"{_SHORT_NAMES.get(key, key)}{inner}")
        elif value is not None:
            parts.append(f"{_SHORT_NAMES.get(key, key)}{short_value(value)}")
    return "+".join(parts)
