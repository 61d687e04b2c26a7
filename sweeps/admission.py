"""A new trial is written down; one that needs no training is marked so before a worker starts."""

import time
from typing import Any

from sweeps.memory import Memory
from sweeps.record import TrialRecord
from sweeps.space.constraints import violations
from sweeps.space.labels import label
from sweeps.space.model_cost import cached_summary
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder


def admit(
    sweep: Sweep,
    folder: SweepFolder,
    memory: Memory,
    index: int,
    overrides: dict[str, Any],
    *,
    rung: int | None = None,
    sampler: dict[str, Any] | None = None,
    origin: str | None = None,
) -> TrialRecord:
    """Create the trial of this index.

    Args:
        sweep: Whose trial it is.
        folder: Where its folder is made.
        memory: Learns of it, and knows the trials before it.
        index: Not used before.
        overrides: On the recipe; empty for trial 0.
        rung: Epochs of its first schedule; None is the whole one.
        sampler: What Optuna's sampler noted down.
        origin: Where it comes from, if not from the search.

    Returns:
        The record: pending, a duplicate of a trial with the same resolved recipe, or infeasible for
        a constraint. Trial 0 is the yardstick and is trained whatever the constraints say.

    Raises:
        ValueError: If the overrides make no possible recipe.
    """
    recipe = sweep.recipe_for(overrides)
    what = label(overrides) or "recipe"
    name = f"t{index:04d} {what}" if origin is None else f"t{index:04d} {origin}: {what}"
    twin = memory.twin_of(recipe.digest())
    costs, excess = _model_costs(sweep, overrides)
    broken = [text for text, share in excess.items() if share > 0]
    status, reason, error = "pending", None, None
    if twin is not None:
        status = "duplicate"
    elif broken and index > 0:
        status, reason, error = "infeasible", "constraint", f"violates {', '.join(broken)}"
    record = TrialRecord(
        index,
        name,
        recipe.digest(),
        overrides,
        status=status,
        reason=reason,
        error=error,
        suggested_at=time.time(),
        rung=rung if status == "pending" else None,
        twin=twin.id if twin is not None else None,
        origin=origin,
        costs=costs,
        violations=excess,
        sampler=sampler or {},
    )
    folder.create_training(record, None, recipe.to_yaml())
    return memory.write(record)


def _model_costs(
    sweep: Sweep, overrides: dict[str, Any]
) -> tuple[dict[str, float], dict[str, float]]:
    """Costs of the trial's model and how far each constraint is exceeded; only if asked for."""
    spec = sweep.spec
    if not spec.constraints and not set(spec.objective.against) - {"training_seconds"}:
        return {}, {}
    model = cached_summary(sweep.recipe_for(overrides))
    costs = {
        "parameters": float(model.num_parameters),
        "flops": float(model.forward_flops),
        "training_flops": float(model.training_flops),
    }
    return costs, violations(spec.constraints, model)
