"""Dotted paths such as ``optimizer.sgd.learning_rate``: through plain data and through models."""

import inspect
from functools import cache
from typing import Any, get_origin

from pydantic import BaseModel

from resnet_core.problems import Loc
from resnet_core.strict import leaf_types


def get_path(data: dict[str, Any], path: str) -> Any:
    """The value at a dotted path.

    Raises:
        KeyError: If the path leads nowhere; holds the whole path.
    """
    value: Any = data
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            raise KeyError(path)
        value = value[part]
    return value


def set_path(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of nested mappings with one value replaced or added; the input is left unchanged.

    Missing and null mappings on the way are made. Lists are values: no path leads into them.

    Raises:
        ValueError: If a value on the way is neither a mapping nor null.
    """
    first, _, rest = path.partition(".")
    if not rest:
        return {**data, first: value}
    below = data.get(first)
    if below is not None and not isinstance(below, dict):
        raise ValueError(f"{first!r} is {below!r} and holds no key {rest!r}")
    return {**data, first: set_path(below or {}, rest, value)}


def field_paths(model: type[BaseModel]) -> dict[str, Any]:
    """Every dotted path of a model to its annotation, sections (``optimizer``) included."""
    return dict(_field_paths(model))


@cache  # every file that is read asks for them many times
def _field_paths(model: type[BaseModel]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        paths[name] = field.annotation
        is_collection = get_origin(field.annotation) in (list, tuple, dict)
        for section in () if is_collection else _models(field.annotation):
            paths |= {f"{name}.{path}": leaf for path, leaf in _field_paths(section).items()}
    return paths


def field_names_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the mapping at ``loc`` may have, every alternative's together.

    Keys of free mappings and list indices on the way lead to what the mapping or list holds.
    """
    models = [model]
    for part in loc:
        annotations = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        if annotations:
            models = [found for annotation in annotations for found in _models(annotation)]
    return list(dict.fromkeys(name for found in models for name in found.model_fields))


def _models(annotation: Any) -> list[type[BaseModel]]:
    found = [t for t in leaf_types(annotation) if inspect.isclass(t) and issubclass(t, BaseModel)]
    return sorted(found, key=lambda model: model.__name__)
