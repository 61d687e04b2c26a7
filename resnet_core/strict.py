"""The base of every configuration model: frozen, closed to unknown keys, and exact about numbers.

Numbers may arrive as text, because YAML readers disagree about ``5e-4``; what a field accepts is
the same whichever reader was used:

- a float field reads 0.1, 1 and "5e-4"; infinity and NaN are refused;
- an integer field reads 64, "64" and the whole float 64.0, and refuses 64.5;
- true and false are never numbers, and a boolean field reads nothing else than true and false.
"""

import types
from functools import cache
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator

from resnet_core.credentials import holds_credentials

_SCALARS = {int, float, str, type(None)}


class StrictModel(BaseModel):
    """A frozen model that refuses unknown keys and checks its own defaults."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _keep_booleans_and_numbers_apart(cls, value: Any, info: ValidationInfo) -> Any:
        leaves = _field_leaves(cls, info.field_name or "")
        if leaves <= {bool, type(None)} and value is not None and not isinstance(value, bool):
            raise ValueError(f"must be true or false, got {value!r}")
        numeric = bool(leaves & {int, float}) and not leaves & {bool, Any, object}
        if numeric and _holds_boolean(value, inside_mappings=leaves <= _SCALARS):
            raise ValueError(f"must be a number, got {str(value).lower()}")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_secrets(cls, value: Any, info: ValidationInfo) -> Any:
        """What stands in a file is kept with every result of it, and shown to whoever looks."""
        leaves = _field_leaves(cls, info.field_name or "")
        if (isinstance(value, str) or Any in leaves) and holds_credentials(value):
            raise ValueError(
                "an address with a password in it; a file is no place for secrets: leave user and "
                "password out, and take them from the environment"
            )
        return value


class OneOf(StrictModel):
    """A section in which exactly one of several keys is chosen, as ``optimizer: {sgd: ...}``."""

    @model_validator(mode="after")
    def _check_one_chosen(self) -> Self:
        chosen = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(chosen) != 1:
            allowed = ", ".join(type(self).model_fields)
            raise ValueError(f"choose one of {allowed}, got {' and '.join(chosen) or 'none'}")
        return self

    @property
    def chosen(self) -> tuple[str, Any]:
        """The name of the key that is not null, and its value."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return next((name, value) for name, value in values.items() if value is not None)


@cache
def _field_leaves(model: type[BaseModel], field: str) -> frozenset[Any]:
    return frozenset(leaf_types(model.model_fields[field].annotation))


def leaf_types(annotation: Any) -> set[Any]:
    """The plain types an annotation ends in: ``tuple[int | None, ...]`` gives int and None."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return {type(None) if annotation is None else annotation}
    if origin is Literal:
        return {type(argument) for argument in arguments}
    if origin is Annotated:
        return leaf_types(arguments[0])
    if origin in (Union, types.UnionType, list, tuple, set, frozenset, dict):
        return set().union(*(leaf_types(a) for a in arguments if a is not Ellipsis))
    return {origin}


def _holds_boolean(value: Any, *, inside_mappings: bool) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_boolean(item, inside_mappings=inside_mappings) for item in value)
    if isinstance(value, dict) and inside_mappings:
        return any(_holds_boolean(item, inside_mappings=True) for item in value.values())
    return isinstance(value, bool)
