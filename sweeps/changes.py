"""Changing a sweep that was begun: more trials, another try, a variant of a trial, a confirmation.

Each writes to the sweep's folder and starts nothing; running the sweep then goes on with it. Call
them with the folder locked.
"""

from collections.abc import Container, Iterable
from dataclasses import replace

from resnet_core import Recipe
from resnet_core.dotted_paths import get_path
from sweeps.admission import admit
from sweeps.memory import Memory
from sweeps.record import TrialRecord
from sweeps.spec import Sweep
from sweeps.spending import Budget
from sweeps.storage import SweepFolder


class NothingToDo(ValueError):
    """The change would change nothing."""


def extend(sweep: Sweep, folder: SweepFolder, num_trials: int) -> None:
    """Let the search go on for so many trials more.

    Raises:
        NothingToDo: If the sweep has no number of trials, so that only its budget ends it.
    """
    if sweep.num_trials is None:
        raise NothingToDo(
            "this sweep has no number of trials, its budget ends it: run it with a larger budget "
            "under a name of its own"
        )
    memory = Memory(sweep, folder)
    budget = Budget(sweep.spec.budget, sweep.spec.resources, sweep.spec.objective)
    best = memory.last_value(memory.completed[0]) if memory.completed else None
    still = budget.satisfied(best, memory.without_improvement)
    if still is not None:
        raise NothingToDo(
            f"more trials would not be started: {still}; run the sweep with another budget under a "
            "name of its own"
        )
    state = folder.read_state()
    folder.write_state(replace(state, extra_trials=state.extra_trials + num_trials, closed=None))


def retry_failed(
    folder: SweepFolder, reasons: Container[str | None] | None = None
) -> list[TrialRecord]:
    """Put failed trials (and failed confirmations) back to pending; returns them.

    They go on from their newest checkpoint. Infeasible trials are no failures of the machine and
    stay as they are.

    Args:
        folder: Of the sweep.
        reasons: Why they failed, those that are meant; None means all.
    """
    failed = [
        record
        for record in [*folder.read_records(), *folder.read_confirmations()]
        if record.status == "failed" and (reasons is None or record.reason in reasons)
    ]
    for record in failed:
        again = replace(record, status="pending", reason=None, error=None, ended_at=None)
        folder.write_record(again)
    return failed


def rerun(sweep: Sweep, folder: SweepFolder, trial_id: str, sets: Iterable[str]) -> TrialRecord:
    """Add a trial that is another one with some values changed.

    Args:
        sweep: The sweep.
        folder: Its folder.
        trial_id: ``t0007``.
        sets: ``a.b=v`` each, paths of the recipe, whether or not the space varies them.

    Returns:
        The new trial, pending or found infeasible.

    Raises:
        TrialNotFound: If there is no such trial; names the nearest.
        InvalidFile: If a change is no possible recipe.
        NothingToDo: If the recipe that comes out was trained already.
    """
    memory = Memory(sweep, folder)
    sets, original = list(sets), folder.find_trial(trial_id)
    recipe = Recipe.from_yaml(folder.trial_folder(original) / "recipe.yaml", sets).to_dict()
    overrides = dict(original.overrides)
    changed = [one.partition("=")[0].strip() for one in sets]
    for path in changed:
        overrides = {key: v for key, v in overrides.items() if not key.startswith(f"{path}.")}
        overrides[path] = get_path(recipe, path)
    # What a formula makes of the changed values follows, unless it was itself set by hand.
    overrides = {
        key: overrides[key] if key in changed else value
        for key, value in sweep.space.recomputed(overrides).items()
    }
    twin = memory.twin_of(sweep.recipe_for(overrides).digest())
    if twin is not None:
        raise NothingToDo(f"that is {twin.name}, which was tried already; change something else")
    record = admit(
        sweep, folder, memory, max(memory.records) + 1, overrides,
        origin=f"rerun of {trial_id}",
    )  # fmt: skip
    if record.status == "pending" and sweep.num_trials is not None:
        state = folder.read_state()
        folder.write_state(replace(state, extra_trials=state.extra_trials + 1))
    return record


def confirm(sweep: Sweep, folder: SweepFolder, *, top_k: int, seeds: int) -> None:
    """Ask for the best trials and the recipe to be trained with fresh seeds.

    Raises:
        NothingToDo: If the recipe, or any trial but it, has not completed.
    """
    completed = Memory(sweep, folder).completed
    if not any(record.index > 0 for record in completed):
        raise NothingToDo("no trial but the recipe has completed its schedule yet")
    if not any(record.index == 0 for record in completed):
        raise NothingToDo("the recipe, to compare with, has not completed its schedule")
    state = folder.read_state()
    folder.write_state(replace(state, confirm={"top_k": top_k, "seeds": seeds}))
