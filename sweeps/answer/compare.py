"""Two trials, or two sweeps, side by side: which keys differ, and which results."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from sweeps.answer.overview import Overview, read_overview
from sweeps.answer.results import numbers_of, read_result
from sweeps.population.mutations import read_mutations, recipe_with
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder


@dataclass(frozen=True)
class Comparison:
    """What differs; what is equal is left out.

    Attributes:
        kind: What is compared.
        names: As asked for: ``digits`` or ``digits/t0007``.
        keys: Dotted path of the recipe (of the sweep file) -> both values; None where it holds
            nothing.
        results: Name of the result -> both; None where there is none.
    """

    kind: Literal["trials", "sweeps"]
    names: tuple[str, str]
    keys: dict[str, tuple[Any, Any]]
    results: dict[str, tuple[Any, Any]]

    def to_dict(self) -> dict[str, Any]:
        """As ``-o json`` prints it."""
        return {
            "kind": self.kind,
            "a": self.names[0],
            "b": self.names[1],
            "keys": [{"key": key, "a": a, "b": b} for key, (a, b) in self.keys.items()],
            "results": [
                {"result": name, "a": a, "b": b, "difference": difference(a, b)}
                for name, (a, b) in self.results.items()
            ],
        }


def difference(a: Any, b: Any) -> float | None:
    """``b - a`` of two numbers, else None."""
    numbers = [one for one in (a, b) if isinstance(one, int | float) and not isinstance(one, bool)]
    return numbers[1] - numbers[0] if len(numbers) == 2 else None


def compare_trials(
    first: tuple[Sweep, SweepFolder, str], second: tuple[Sweep, SweepFolder, str]
) -> Comparison:
    """Compare two trials or trainings with a fresh seed, of one sweep or of two.

    Args:
        first: Its sweep, the sweep's folder, and which: ``t0007``, ``t0007-s1``.
        second: Likewise.

    Raises:
        TrialNotFound: If there is no such trial; names the nearest.
    """
    a, b = (_recipe_and_results(*one) for one in (first, second))
    names = (f"{first[1].name}/{first[2]}", f"{second[1].name}/{second[2]}")
    return Comparison("trials", names, _differing(a[0], b[0]), _differing(a[1], b[1]))


def compare_sweeps(
    first: tuple[Sweep, SweepFolder], second: tuple[Sweep, SweepFolder]
) -> Comparison:
    """Compare two sweeps: their files, the recipe's keys included, and what they have found."""
    a, b = (_file_and_results(*one) for one in (first, second))
    names = (first[1].name, second[1].name)
    return Comparison("sweeps", names, _differing(a[0], b[0]), _differing(a[1], b[1]))


def _recipe_and_results(
    sweep: Sweep, folder: SweepFolder, trial_id: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    record = folder.find_trial(trial_id, confirmations=True)
    recipe, trial_folder = sweep.recipe_for(record.overrides), folder.trial_folder(record)
    if read_mutations(trial_folder):  # a population's member trains with other values by now
        recipe = recipe_with(trial_folder, {})
    result, metric = read_result(folder, sweep), sweep.spec.objective.metric
    row = next((row for row in result.rows if row.record.id == record.id), None)
    if row is not None:
        value, epochs, last = row.value, row.epochs, row.metrics
    else:  # a training with a fresh seed is no row
        history = folder.history(record)
        last = numbers_of(history[-1]) if history else {}
        value, epochs = last.get(metric), last.get("epoch", 0)
    results = {
        "status": record.status,
        "reason": record.reason,
        f"value.{metric}": value,
        "epochs": epochs,
        f"cost.{result.cost_unit}": record.worker_seconds * result.hours_per_worker_second,
        **{f"costs.{name}": cost for name, cost in record.costs.items()},
        **{f"metrics.{name}": number for name, number in last.items() if name != metric},
    }
    return _flat(recipe.to_dict()), results


def _file_and_results(sweep: Sweep, folder: SweepFolder) -> tuple[dict[str, Any], dict[str, Any]]:
    file = _flat(sweep.resolved())
    del file["name"]  # which is how one asked for it
    overview = read_overview(folder, sweep)
    return file, _results_of(overview)


def _results_of(overview: Overview) -> dict[str, Any]:
    row = overview.to_dict()
    gain = row["gain"] or {}
    return {
        "status": row["status"],
        "trials": row["trials"],
        "trials_ended": row["trials_ended"],
        "best": row["best"],
        f"best_value.{row['metric']}": row["best_value"],
        "winner": row["winner"],
        **{f"gain.{name}": gain.get(name) for name in ("mean", "half_width", "n")},
        f"cost.{row['cost']['unit']}": row["cost"]["hours"],
        "wall_seconds": row["wall_seconds"],
    }


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted path -> value; lists are values."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _differing(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is not the same in both, in the order of the first."""
    pairs = {key: (a.get(key), b.get(key)) for key in [*a, *(key for key in b if key not in a)]}
    return {key: (one, other) for key, (one, other) in pairs.items() if not _same(one, other)}


def _same(one: Any, other: Any) -> bool:
    both_nan = all(isinstance(value, float) and math.isnan(value) for value in (one, other))
    return both_nan or one == other
