"""The answer of a sweep at the terminal: the table of trials, the winner, the cost."""

import math
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sweeps.results import SweepResult, TrialRow
from sweeps.space import short_names, short_value
from sweeps.storage import SweepFolder


def trials_table(result: SweepResult) -> Table:
    """One row per trial: the ranked ones first, then those that were stopped, then the rest."""
    metric = result.objective.metric
    table = Table(
        title=f"{result.name}: {metric} after the last epoch", title_justify="left", box=SIMPLE_HEAD
    )
    paths = list(result.rows[0].varied) if result.rows else []
    for name in ("rank", metric, "epochs", "status", "minutes", "trial", *short_names(paths)):
        right = name in ("rank", metric, "minutes")
        table.add_column(name, justify="right" if right else "left", no_wrap=name == "status")
    for row in sorted(result.rows, key=_order):
        status = row.record.status.replace("_", " ")
        table.add_row(
            str(row.rank or ""),
            "" if row.value is None else f"{row.value:.4f}",
            f"{row.epochs}/{row.num_epochs or '?'}",
            f"{status} ({row.record.reason})" if row.record.reason else status,
            f"{row.record.worker_seconds / 60:.1f}",
            f"{row.record.id} recipe" if row.record.index == 0 else row.record.id,
            *(short_value(value) for value in row.varied.values()),
            style="bold" if row.rank == 1 else None,
        )
    return table


def _order(row: TrialRow) -> tuple[float, int, int]:
    return (row.rank or math.inf, -row.epochs, row.record.index)


def answer(result: SweepResult, folder: SweepFolder) -> str:
    """The winner against the recipe, what it cost, and what to do next, in plain lines."""
    best, baseline = result.best, result.baseline
    if best is None:
        return f"No trial of {result.name} has completed yet."
    recipe_file = _short(folder.trial_folder(best.record) / "recipe.yaml")
    lines = [_comparison(result, best, baseline), _cost(result)]
    lines += ["Next:", "  python -m sweeps ui", f"  python -m sweeps train {recipe_file}"]
    return "\n".join(lines)


def _comparison(result: SweepResult, best: TrialRow, baseline: TrialRow | None) -> str:
    metric = result.objective.metric
    lines = [f"Best: {best.record.name}", f"  {metric} {best.value:.4f} on the validation split"]
    if baseline is not None:
        lines[-1] += f" (recipe {baseline.value:.4f})"
    own = result.state.test.get(best.record.id)
    if own is None:
        return "\n".join(lines)
    text = f"  accuracy {own['accuracy']:.4f} on the test split"
    recipe = result.state.test.get(baseline.record.id) if baseline is not None else None
    if recipe is None:
        return "\n".join([*lines, text])
    lines.append(f"{text} (recipe {recipe['accuracy']:.4f})")
    if baseline is best:
        return "\n".join([*lines, "  Nothing tried was better than the recipe itself."])
    gain = own["accuracy"] - recipe["accuracy"]
    error = math.hypot(*(_standard_error(values) for values in (own, recipe)))
    verdict = (
        "one seed each, and within the noise of the test split"
        if abs(gain) < 2 * error
        else "one seed each"
    )
    images = round(own["num_images"])
    lines.append(
        f"  {100 * gain:+.2f} points over the recipe, standard error {100 * error:.2f} "
        f"({images} test images): {verdict}"
    )
    return "\n".join(lines)


def _standard_error(values: dict[str, float]) -> float:
    """Of an accuracy over n independent images: sqrt(p (1 - p) / n)."""
    return math.sqrt(values["accuracy"] * (1 - values["accuracy"]) / values["num_images"])


def _cost(result: SweepResult) -> str:
    ended = sum(row.record.ended for row in result.rows)
    epochs = sum(row.epochs for row in result.rows)
    whole = sum(row.num_epochs or row.epochs for row in result.rows)
    trained = f"{epochs} epochs" if epochs == whole else f"{epochs} of the {whole} epochs planned"
    return (
        f"Cost: {result.cost:.2f} {result.cost_unit} for {ended} trials ({trained}), "
        f"{result.state.wall_seconds / 60:.1f} minutes"
    )


def _short(path: Path) -> str:
    """Relative to the current folder where that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
