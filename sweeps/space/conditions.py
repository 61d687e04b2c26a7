"""What every entry of a search space has: the condition under which its key counts at all."""

import json
from typing import Any, ClassVar

from pydantic import Field, field_validator

from resnet_core.strict import StrictModel

_ENCODER = json.JSONEncoder(sort_keys=True)


class Conditional(StrictModel):
    """An entry of the space; its kind is the key that it is written with."""

    kind: ClassVar[str]

    when: dict[str, tuple[Any, ...]] = Field(
        default={},
        description="Recipe path -> value or values; the key counts only where all of them hold.",
    )

    @field_validator("when", mode="before")
    @classmethod
    def _read_when(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("must be a mapping such as {model.name: [resnet50]}")
        lists = {k: v if isinstance(v, list | tuple) else [v] for k, v in value.items()}
        for path, allowed in lists.items():
            if not allowed:
                raise ValueError(f"{path}: an empty list of values never holds")
            if any(isinstance(one, dict | list) for one in allowed):
                raise ValueError(f"{path}: a condition compares with text, numbers, true, false")
        return lists


def canonical(value: Any) -> str:
    """JSON text that is the same for equal values: keys sorted, 1.0 written as 1."""
    return _ENCODER.encode(_with_whole_floats_as_ints(value))


def _with_whole_floats_as_ints(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_whole_floats_as_ints(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_whole_floats_as_ints(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
