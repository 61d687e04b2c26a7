"""What a trial's model may cost: ``parameters <= 30M``, ``flops <= 5e9``; needs no torch.

What is measured is the recipe's summary, for one image. FLOPs are those of convolutions and matrix
products; a multiply-add is two.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from resnet_core.plain_errors import written
from resnet_core.problems import did_you_mean

if TYPE_CHECKING:
    from resnet_core.recipe_summary import Summary

QUANTITIES = {
    "parameters": "num_parameters",
    "flops": "forward_flops",
    "training_flops": "training_flops",
    "activation_bytes": "activation_bytes",
}
"""Name in a constraint -> attribute of `resnet_core.Summary`."""

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PATTERN = re.compile(
    r"\s*([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*((?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?)"
    r"\s*([A-Za-z]*)\s*",
    re.ASCII,
)
_EXAMPLES = "parameters <= 30M, flops <= 5e9 or activation_bytes <= 1.5GiB"
_LONGEST_TEXT = 60


@dataclass(frozen=True)
class Constraint:
    """A bound on one figure of the summary.

    Attributes:
        text: As written.
        quantity: A key of `QUANTITIES`.
        operator: ``<=``, ``<``, ``>=`` or ``>``.
        limit: Above 0, exact.
    """

    text: str
    quantity: str = field(compare=False)
    operator: str = field(compare=False)
    limit: Fraction = field(compare=False)

    @classmethod
    def parse(cls, text: object) -> "Constraint":
        """Read a constraint; one that was read already is returned as it is.

        Raises:
            ValueError: If it is none; names what is allowed.
        """
        if isinstance(text, cls):
            return text
        match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if match is None or len(str(text)) > _LONGEST_TEXT:
            raise ValueError(f"must be a quantity, a sign and a number: {_EXAMPLES}, got "
                             f"{written(text)}")  # fmt: skip
        quantity, operator, number, unit = match.groups()
        if quantity not in QUANTITIES:
            raise ValueError(
                f"unknown quantity {quantity!r}; allowed: {', '.join(QUANTITIES)}"
                f"{did_you_mean(quantity.lower(), QUANTITIES)}"
            )
        units = _UNITS | (_BYTES if quantity == "activation_bytes" else {})
        if unit not in units:
            same = [name for name in units if name and name.lower() == unit.lower()]
            hint = f"; did you mean {same[0]!r}?" if same else did_you_mean(unit, units)
            allowed = ", ".join(filter(None, units))
            raise ValueError(f"unknown unit {unit!r} of {quantity}; allowed: {allowed}{hint}")
        limit = Fraction(number) * units[unit]
        if limit <= 0:
            raise ValueError(f"{quantity} are above 0, so the bound must be too, got {number}")
        return cls(str(text).strip(), quantity, operator, limit)

    @property
    def is_upper(self) -> bool:
        """Whether it bounds from above."""
        return self.operator.startswith("<")

    def excess(self, summary: "Summary") -> float:
        """How far beyond the bound, as a share of it: 0.25 is a quarter too much or too little.

        Above 0 if the constraint is violated, 0 or less if it holds.
        """
        value = getattr(summary, QUANTITIES[self.quantity])
        excess = Fraction(value) / self.limit - 1
        excess = excess if self.is_upper else -excess
        if excess == 0 and self.operator in ("<", ">"):
            excess = 1 / self.limit  # one less, or more, would do
        return float(excess)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "examples": ["parameters <= 30M", "flops <= 5e9"]}


def _check_band(constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """Refuse what no model could meet."""
    for upper in (one for one in constraints if one.is_upper):
        for lower in (one for one in constraints if not one.is_upper):
            touches = upper.limit == lower.limit and (upper.operator, lower.operator) == (
                "<=", ">=",
            )  # fmt: skip
            if upper.quantity == lower.quantity and lower.limit >= upper.limit and not touches:
                raise ValueError(f"nothing lies between {lower.text!r} and {upper.text!r}")
    return constraints


ConstraintList = Annotated[tuple[Constraint, ...], AfterValidator(_check_band)]
"""The field of a sweep file: all of them must hold."""


def violations(constraints: Iterable[Constraint], summary: "Summary") -> dict[str, float]:
    """Each constraint's text -> `Constraint.excess`: above 0 if violated, 0 or less if it holds.

    Args:
        constraints: Of the sweep.
        summary: Of the trial's recipe.
    """
    return {one.text: one.excess(summary) for one in constraints}
