"""A model's complaints in plain words: what is wrong, what is allowed, what was meant perhaps."""

import json
import re
from collections import defaultdict
from typing import Any, NamedTuple, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from resnet_core.dotted_paths import field_names_at, field_paths
from resnet_core.problems import Loc, did_you_mean

_LONGEST_VALUE = 60
MAX_TOLD = 100
"""Complaints about one model; looking for what was meant takes time for each."""
_KINDS = {
    "model_type": "a mapping of keys to values", "model_attributes_type": "a mapping of keys to "
    "values", "dict_type": "a mapping of keys to values", "list_type": "a list",
    "tuple_type": "a list", "string_type": "text", "bool_type": "true or false",
    "int_type": "a whole number", "int_parsing": "a whole number", "int_from_float":
    "a whole number", "float_type": "a number", "float_parsing": "a number",
    "finite_number": "a finite number", "none_required": "null",
}  # fmt: skip
_BOUNDS = {
    "greater_than": ("above", "gt"), "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"), "less_than_equal": ("at most", "le"),
}  # fmt: skip


class Explanation(NamedTuple):
    """One complaint: about which value, in which words, and whether its key is what is wrong."""

    loc: Loc
    message: str
    of_key: bool


def explain(error: ValidationError, model: type[BaseModel], data: Any) -> list[Explanation]:
    """Translate what a model says about plain data.

    Args:
        error: As the model raised it.
        model: The model, for the keys it knows.
        data: What it was given; a loc names only what is there (or a key that is missing).
    """
    found: dict[tuple[Loc, bool], list[str]] = defaultdict(list)
    details = error.errors(include_url=False)
    for detail in details[:MAX_TOLD]:
        loc = _loc_in_data(detail, data)
        message = _message(detail, loc, model)
        messages = found[loc, detail["type"] == "extra_forbidden"]
        if message not in messages:
            messages.append(message)
    told = [
        Explanation(loc, " or ".join(messages), of_key) for (loc, of_key), messages in found.items()
    ]
    if (rest := len(details) - MAX_TOLD) > 0:
        told.append(Explanation((), f"and {rest} more problems, told once these are gone", False))
    return told


def written(value: Any) -> str:
    """A value as it would stand in the file, shortened."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = repr(text) if isinstance(value, str) else text
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _loc_in_data(detail: ErrorDetails, data: Any) -> Loc:
    """The error's loc without the names of union members, which are no keys of the file."""
    loc: list[str | int] = []
    parts = detail["loc"]
    for index, part in enumerate(parts):
        is_index = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if is_index or (isinstance(data, dict) and part in data):
            data = cast(Any, data)[part]
        elif not (detail["type"] == "missing" and index == len(parts) - 1):
            continue
        loc.append(part)
    return tuple(loc)


def _message(detail: ErrorDetails, loc: Loc, model: type[BaseModel]) -> str:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "extra_forbidden":
        return _unknown_key(str(loc[-1]), loc, model)
    if kind == "missing":
        return "required, but it is not there"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        allowed = context["expected"]
        hint = did_you_mean(str(value), re.findall(r"'([^']*)'", allowed))
        return f"must be {allowed}, got {written(value)}{hint}"
    if kind == "too_short" and context["min_length"] == 1:
        return "is empty; it needs at least one entry"
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else (
            f"at most {context['max_length']}")  # fmt: skip
        return (
            f"must have {bound} entries, got {len(value)}"  # pydantic stops counting at the bound
        )
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}, got {written(value)}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {context[bound]:g}, got {written(value)}"
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}, got {written(value)}"
    return f"{detail['msg'].replace('Input should', 'must')}, got {written(value)}"


def _unknown_key(key: str, loc: Loc, model: type[BaseModel]) -> str:
    allowed = field_names_at(model, loc[:-1])
    hint = did_you_mean(key, allowed)
    if not hint:
        homes = [path for path in field_paths(model) if path.endswith(f".{key}")]
        hint = f"; did you mean {' or '.join(homes)}?" if homes else ""
    return f"unknown key; allowed: {', '.join(allowed)}{hint}"
