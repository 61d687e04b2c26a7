"""Points of a search space to make a plan from: what random search would draw, and all corners."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resnet_core.recipe import Recipe
from sweeps.planning.footprint import ArchitectureCost, architecture_cost
from sweeps.space.combinations import points_to_check
from sweeps.space.constraints import violations
from sweeps.space.model_cost import cached_summary, shape_key
from sweeps.spec import Sweep, SweepSpec

MAX_MODELS = 32
"""Distinct models of a space that are counted; each takes 0.1 to 0.5 s."""

_NUM_DRAWN = 300
_MAX_CORNERS = 1_000


@dataclass(frozen=True)
class Point:
    """A recipe, and what its model costs."""

    recipe: Recipe
    cost: ArchitectureCost


@dataclass(frozen=True)
class Points:
    """What `sample` has found.

    Attributes:
        recipe: Trial 0.
        in_range: Trial 0, then all corners and draws whose model was counted and is allowed.
        typical: The draws among them, as often as they are drawn; trial 0 if there are none.
        num_models: Distinct models that were seen.
        num_counted: Those whose cost was counted.
        violating_ratio: Share of the draws that constraints refuse; None without constraints.
    """

    recipe: Point
    in_range: list[Point]
    typical: list[Point]
    num_models: int
    num_counted: int
    violating_ratio: float | None


def sample(sweep: Sweep) -> Points:
    """Draw points of the sweep's space, the same ones each time, and count their models."""
    rng = random.Random(0)
    space = sweep.space
    drawn = _possible(
        sweep,
        (
            space.assemble(lambda _, domain: domain.draw(rng), leave_gaps=True)
            for _ in range(_NUM_DRAWN)
        ),
    )
    corners = points_to_check(space)
    corners = _possible(sweep, corners[:: -(-len(corners) // _MAX_CORNERS)])
    costs, num_models = _count_models([sweep.recipe, *corners, *drawn])
    recipe = Point(sweep.recipe, costs[shape_key(sweep.recipe)])
    counted = _counted(drawn, costs)
    typical = [point for point in counted if not _violates(sweep.spec, point)]
    others = [one for one in _counted(corners, costs) if not _violates(sweep.spec, one)]
    refused = 1 - len(typical) / len(counted) if counted else 0.0
    return Points(
        recipe=recipe,
        in_range=[recipe, *others, *typical],
        typical=typical or [recipe],
        num_models=num_models,
        num_counted=len(costs),
        violating_ratio=refused if sweep.spec.constraints else None,
    )


def _possible(sweep: Sweep, points: Iterable[dict[str, Any]]) -> list[Recipe]:
    recipes = []
    for point in points:
        try:
            recipes.append(sweep.recipe_for(point))
        except ValueError:  # a derived value that is none there: the search refuses the point too
            continue
    return recipes


def _count_models(recipes: list[Recipe]) -> tuple[dict[str, ArchitectureCost], int]:
    """Cost by `shape_key`, of the first and of others spread evenly; and how many there are."""
    models: dict[str, Recipe] = {}
    for recipe in recipes:
        models.setdefault(shape_key(recipe), recipe)
    first, *others = models
    step = max(1, -(-len(others) // (MAX_MODELS - 1)))
    return {key: architecture_cost(models[key]) for key in (first, *others[::step])}, len(models)


def _counted(recipes: list[Recipe], costs: dict[str, ArchitectureCost]) -> list[Point]:
    found = ((recipe, costs.get(shape_key(recipe))) for recipe in recipes)
    return [Point(recipe, cost) for recipe, cost in found if cost is not None]


def _violates(spec: SweepSpec, point: Point) -> bool:
    if not spec.constraints:
        return False
    excess = violations(spec.constraints, cached_summary(point.recipe))
    return any(one > 0 for one in excess.values())
