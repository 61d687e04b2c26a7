"""The answer of a sweep at the terminal: the table of trials, the winner, the cost, the advice."""

import math
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sweeps.answer.advice import Advice, Noise, Row, advise, noise_between_seeds, noise_of_images
from sweeps.answer.results import SweepResult, TrialRow
from sweeps.population.mutations import read_mutations
from sweeps.space.labels import short_names, short_value
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder, write_atomically

_IN_FRONT = "* no other trial is at least as good in everything and better in one"


def trials_table(result: SweepResult) -> Table:
    """One row per trial, as `trial_cells` has them, for the terminal."""
    metric, against = result.objective.metric, result.objective.against
    table = Table(
        title=f"{result.name}: {metric} after the last epoch", title_justify="left", box=SIMPLE_HEAD
    )
    names, rows = trial_cells(result)
    for name in names:
        right = name in ("rank", metric, "minutes", *against)
        table.add_column(name, justify="right" if right else "left", no_wrap=name == "status")
    for cells in rows:
        table.add_row(*cells, style="bold" if cells[0].rstrip("*") == "1" else None)
    if result.pareto:
        table.caption = _IN_FRONT
    return table


def trial_cells(result: SweepResult) -> tuple[list[str], list[list[str]]]:
    """Column names, and a row of texts per trial: the ranked ones first, then those that were
    stopped, then the rest."""
    metric, against = result.objective.metric, result.objective.against
    paths = list(result.rows[0].varied) if result.rows else []
    names = ["rank", metric, "epochs", "status", "minutes", "trial", *against, *short_names(paths)]
    front = {row.record.id for row in result.pareto}
    rows = []
    for row in sorted(result.rows, key=_order):
        record = row.record
        rows.append(
            [
                f"{row.rank or ''}{'*' if record.id in front else ''}",
                "" if row.value is None else f"{row.value:.4f}",
                f"{row.epochs}/{row.num_epochs or '?'}",
                _status(row),
                f"{record.worker_seconds / 60:.1f}",
                f"{record.id} recipe" if record.index == 0 else record.id,
                *(_cost_value(record.costs.get(cost)) for cost in against),
                *(short_value(value) for value in row.varied.values()),
            ]
        )
    return names, rows


def _status(row: TrialRow) -> str:
    record = row.record
    status = record.status.replace("_", " ")
    if record.twin:
        return f"duplicate of {record.twin}"
    return f"{status} ({record.reason})" if record.reason else status


def _cost_value(value: float | None) -> str:
    if value is None:
        return ""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _order(row: TrialRow) -> tuple[float, int, int]:
    return (row.rank or math.inf, -row.epochs, row.record.index)


def answer(result: SweepResult, folder: SweepFolder, sweep: Sweep) -> str:
    """The winner against the recipe, what it cost, and what to do next, in plain lines."""
    winner = result.winner
    if winner is None:
        return f"No trial of {result.name} has completed yet."
    lines = answer_lines(result) + _pareto(result)
    lines += [cost_line(result), *(one.text for one in result.correlations)]
    advice = advice_on(result, sweep)
    lines += ["Advice:", *(f"  {one.text}" for one in advice)] if advice else []
    lines += ["Next:", "  python -m sweeps ui"]
    if result.verdict is None and winner.record.index != 0:
        lines.append(f"  python -m sweeps confirm {result.name}")
    lines.append(f"  python -m sweeps train {_short(write_best(result, folder, sweep))}")
    return "\n".join(lines)


def answer_lines(result: SweepResult) -> list[str]:
    """What won, then how it compares with the recipe and how sure that is, indented.

    Args:
        result: With a winner.
    """
    if result.verdict is not None:
        return _confirmed(result)
    assert result.winner is not None  # the caller has an answer
    return _comparison(result, result.winner)


def in_brief(result: SweepResult) -> str:
    """How the sweep ended, who won by how much, and what it cost: a message of a few lines."""
    state, winner = result.state, result.winner
    reason = f": {state.reason}" if state.status == "stopped" else ""
    lines = [f"sweep {result.name} {state.status}{reason}"]
    if winner is None:
        lines.append("no trial has completed")
    else:
        lines += answer_lines(result)[:2]
    if failed := result.count("failed"):
        lines.append(f"{failed} of {len(result.rows)} trials failed")
    return "\n".join([*lines, cost_line(result)])


def write_best(result: SweepResult, folder: SweepFolder, sweep: Sweep) -> Path:
    """Write the winner's recipe to ``best.yaml``, with a header that says what it is.

    Returns:
        The file for the user.
    """
    winner = result.winner
    assert winner is not None  # the caller has an answer
    value = "" if winner.value is None else f"{result.objective.metric} {winner.value:.4f}"
    resources = sweep.spec.resources
    workers = f"{resources.min_workers} to " if resources.is_elastic else ""
    workers += f"{resources.max_workers} worker{'s' if resources.max_workers > 1 else ''}"
    header = [
        f"# {winner.record.name}, the answer of the sweep {result.name}",
        f"#   result:   {value} on the validation split, with this seed and {workers}",
        "#   command:  python -m sweeps train FILE",
    ]
    changes = read_mutations(folder.trial_folder(winner.record))
    if changes:
        epochs = ", ".join(str(change.epoch) for change in changes)
        header.append(
            f"#   mind:     it took over another trial after epoch {epochs} (mutations.jsonl), so "
            "that this recipe alone does not give the same result"
        )
    recipe = (folder.trial_folder(winner.record) / "recipe.yaml").read_text()
    file = folder.path / "best.yaml"
    write_atomically(file, "\n".join(header) + "\n" + recipe)
    return folder.hand_out(file)


def _confirmed(result: SweepResult) -> list[str]:
    assert result.verdict is not None
    first, *rest = result.verdict.lines
    winner = result.winner
    name = winner.record.name if winner is not None else result.verdict.winner.trial_id
    tested = {training.split("-")[0] for training in result.state.test}
    others = sorted(
        tested - {result.verdict.winner.trial_id, result.verdict.confirmation.recipe.trial_id}
    )
    if others:
        rest.append(
            f"the test split was also used for {', '.join(others)}, an earlier winner: choosing "
            "between them by it would favour the lucky one"
        )
    return [f"Best: {name}", f"  {first}", *(f"  {line}" for line in rest)]


def _comparison(result: SweepResult, best: TrialRow) -> list[str]:
    """Best trial and recipe on the split that chose the trial, which proves little, and says so."""
    metric, baseline = result.objective.metric, result.baseline
    lines = [f"Best: {best.record.name}", f"  {metric} {best.value:.4f} on the validation split"]
    if baseline is None or best.value is None or baseline.value is None:
        return lines
    lines[-1] += f" (recipe {baseline.value:.4f})"
    if baseline is best:
        return [*lines, "  Nothing tried was better than the recipe itself."]
    completed = sum(row.rank is not None for row in result.rows)
    lines.append(
        f"  not shown to be better: one seed each, and the best of {completed} by this very split; "
        "confirm it with fresh seeds"
    )
    return lines


def _pareto(result: SweepResult) -> list[str]:
    against = result.objective.against
    if not against:
        return []
    lines = [f"Pareto set of {result.objective.metric} against {', '.join(against)}:"]
    for row in sorted(result.pareto, key=lambda row: row.rank or 0):
        costs = ", ".join(f"{cost} {_cost_value(row.record.costs.get(cost))}" for cost in against)
        lines.append(f"  {row.record.name}: {row.value:.4f}, {costs}")
    return lines


def cost_line(result: SweepResult) -> str:
    """What the sweep has cost, and why it ended."""
    trained = [row for row in result.rows if row.record.was_trained]
    ended = sum(row.record.ended for row in trained)
    epochs = sum(row.epochs_trained for row in trained)
    whole = sum(row.num_epochs or row.epochs for row in trained)
    share = f"{epochs} epochs" if epochs == whole else f"{epochs} epochs, {whole} without stopping"
    confirm = ""
    if result.confirm_cost:
        confirm = f", {result.confirm_cost:.2f} of it to confirm"
    reason = f"; ended: {result.state.reason}" if result.state.reason else ""
    return (
        f"Cost: {result.cost:.2f} {result.cost_unit} for {ended} trials ({share}){confirm}, "
        f"{result.state.wall_seconds / 60:.1f} minutes{reason}"
    )


def advice_on(result: SweepResult, sweep: Sweep) -> list[Advice]:
    """What the trials say about the space."""
    rows = [
        Row(
            row.record.overrides,
            _value_for_advice(row),
            stopped=row.record.status == "stopped_early",
        )
        for row in result.rows
        if row.record.twin is None
    ]
    return advise(
        rows,
        sweep.space.domains,
        metric=result.objective.metric,
        maximize=result.objective.mode == "max",
        noise=_noise(result, sweep),
        seed=sweep.spec.search.seed,
    )


def _value_for_advice(row: TrialRow) -> float | None:
    if row.record.status == "completed":
        return row.value
    return math.nan if row.record.reason == "nan" else None


def _noise(result: SweepResult, sweep: Sweep) -> Noise | None:
    if result.verdict is not None:
        confirmation = result.verdict.confirmation
        trained = (confirmation.recipe, *confirmation.candidates)
        found = noise_between_seeds([list(one.finite.values()) for one in trained])
        if found is not None:
            return found
    num_images = sweep.recipe.data.num_validation if sweep.recipe.data is not None else None
    best = result.best
    if num_images is None or best is None or result.objective.metric != "val_accuracy":
        return None
    return noise_of_images(best.value or 0.0, num_images)


def _short(path: Path) -> str:
    """Relative to the current folder where that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
