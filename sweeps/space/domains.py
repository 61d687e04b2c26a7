"""What one key of a search space may take, read from the kind that it is written with."""

from typing import Annotated, Any

from pydantic import PlainValidator, SerializeAsAny

from resnet_core.problems import did_you_mean
from sweeps.space.computed import Derived, Fixed
from sweeps.space.conditions import Conditional, canonical
from sweeps.space.ranges import IntRange, LogIntRange, LogUniform, QUniform, Uniform
from sweeps.space.sampled import Choice, Grid, Listed, Sampled, repeated

__all__ = [
    "KINDS", "Choice", "Derived", "Domain", "Fixed", "Grid", "IntRange", "Listed", "LogIntRange",
    "LogUniform", "QUniform", "Sampled", "Uniform", "canonical", "read_domain", "repeated",
]  # fmt: skip

AnyDomain = (
    Choice | Grid | Uniform | LogUniform | QUniform | IntRange | LogIntRange | Fixed | Derived
)

KINDS: dict[str, type[AnyDomain]] = {
    "choice": Choice,
    "grid": Grid,
    "uniform": Uniform,
    "loguniform": LogUniform,
    "quniform": QUniform,
    "int": IntRange,
    "logint": LogIntRange,
    "value": Fixed,
    "derive": Derived,
}
_EXAMPLES = (
    "{choice: [...]}, {grid: [...]}, {uniform: [low, high]}, {loguniform: [...]}, "
    "{quniform: [low, high, step]}, {int: [...]}, {logint: [...]}, {value: 5} or {derive: 2 * seed}"
)


def read_domain(value: Any) -> AnyDomain:
    """Make the domain whose kind is the key that the mapping has; a plain value is fixed.

    Raises:
        ValueError: If it has none of the kinds, or several; pydantic's own for what is inside.
    """
    if isinstance(value, Conditional):
        return value  # pyright: ignore[reportReturnType] (its only subclasses are the kinds)
    if isinstance(value, str | int | float):
        return Fixed(value=value)
    if not isinstance(value, dict):
        instead = "null, which would be {value: null}" if value is None else "a list"
        raise ValueError(f"must be one of {_EXAMPLES}, got {instead}")
    kinds = [kind for kind in KINDS if kind in value]
    if not kinds:
        hints = [did_you_mean(str(key), KINDS) for key in value if key != "when"]
        raise ValueError(f"must be one of {_EXAMPLES}{next(filter(None, hints), '')}")
    if len(kinds) > 1:
        raise ValueError(f"must be one of {_EXAMPLES}, got {' and '.join(kinds)} together")
    return KINDS[kinds[0]].model_validate(value)


Domain = Annotated[
    SerializeAsAny[AnyDomain],
    PlainValidator(read_domain, json_schema_input_type=AnyDomain | bool | int | float | str),
]
