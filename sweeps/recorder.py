"""What happens to the trials, written down as it happens."""

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from ray import tune

from resnet_core.credentials import without_credentials
from sweeps.agenda import Agenda
from sweeps.assignment import Assignment
from sweeps.display import Display
from sweeps.failures import all_fail_alike, consequence
from sweeps.memory import Memory
from sweeps.mirror import fetch, try_to_remove
from sweeps.record import TrialRecord
from sweeps.search import SweepSearch
from sweeps.spec import Sweep
from sweeps.watchdog import newest_hang


def _stopping_at_errors(method: Callable[..., None]) -> Callable[..., None]:
    """Let an error end the sweep, which Tune would take for the trial's own and retry."""

    @wraps(method)
    def guarded(self: "Recorder", *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  the driver raises it again
            self.error = self.error or error
            self.stop(without_credentials(f"{type(error).__name__}: {error}"))

    return guarded


class Recorder(tune.Callback):
    """Writes what Tune tells of its trials into the memory; tells agenda and display.

    The signatures are Tune's.

    Args:
        sweep: The sweep.
        memory: Its trials.
        agenda: Told when an assignment has ended.
        search: Knows which assignment a Tune trial is.
        display: Told of everything.
        stop: Ends the whole sweep, for the reason given.
        prune: Removes checkpoints that nobody wants any more; called when a trial has ended.
    """

    def __init__(
        self,
        sweep: Sweep,
        memory: Memory,
        agenda: Agenda,
        search: SweepSearch,
        display: Display,
        stop: Callable[[str], None],
        prune: Callable[[], None],
    ) -> None:
        self._sweep, self._memory, self._agenda = sweep, memory, agenda
        self._search, self._display, self.stop = search, display, stop
        self._prune = prune
        self._metric = sweep.spec.objective.metric
        self._max_workers = sweep.spec.resources.max_workers
        self._workers: dict[str, int] = {}  # that an elastic trial had last
        self._started: dict[str, float] = {}
        self.error: Exception | None = None
        """What went wrong here, of which Tune would say that the trial has failed."""

    def __getstate__(self) -> dict[str, object]:
        """Tune pickles its callbacks for a restore that is not used here; there is no state."""
        return {}

    def _record(self, trial: Any) -> tuple[Assignment, TrialRecord]:
        assignment = self._search.assignments[trial.trial_id]
        return assignment, self._memory.current(assignment.record)

    def _seconds(self, trial: Any) -> float:
        """Worker-seconds since the last call for this trial, which are spent now."""
        now = time.monotonic()
        workers = self._workers.get(trial.trial_id, self._max_workers)
        seconds = (now - self._started.get(trial.trial_id, now)) * workers
        self._started[trial.trial_id] = now
        self._memory.ledger.worker_seconds += seconds
        return seconds

    @_stopping_at_errors
    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It runs, for the first time or again."""
        self._started[trial.trial_id] = time.monotonic()
        _, record = self._record(trial)
        begins = record.status != "running"  # a population's members pause on their way
        record = self._memory.write(record, status="running")
        if begins:
            self._display.started(record)

    @_stopping_at_errors
    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """It has trained another epoch, or could not; either may come with notes of its worker."""
        assignment, record = self._record(trial)
        for note in result.get("notes", ()):
            self._display.line(f"{record.id}: {note}")
        if result["kind"] != "epoch":
            return
        self._workers[trial.trial_id] = result["num_workers"]
        changes: dict[str, Any] = {"worker_seconds": record.worker_seconds + self._seconds(trial)}
        first_step_at = result["first_step_at"]
        if record.start_seconds is None and record.suggested_at and first_step_at:
            changes["start_seconds"] = first_step_at - record.suggested_at
        ledger = self._memory.ledger
        if first_step_at:  # an epoch of before a restart is told again, with no step of its own
            ledger.epochs += 1
        ledger.running[assignment.key] = result["num_epochs"] - result["epoch"]
        if assignment.rung is None and not record.copy:
            self._memory.curves[record.index][result["epoch"]] = float(result[self._metric])
        self._display.epoch(self._memory.write(record, **changes), result)

    @_stopping_at_errors
    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It has trained its last epoch, was stopped, has failed, or the sweep is interrupted."""
        match trial.last_result:
            case {"kind": "epoch"} as result:
                self._came_to_an_end(trial, result)
            case {"kind": "failed"} as failure:
                self._failed(trial, failure)
            case _:
                self._close(trial)  # interrupted: a resume goes on with it
        # Tune keeps 40 kB a trial of statistics that nobody asks for.
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()

    @_stopping_at_errors
    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its gang or its trainable died, for the last time that Tune tries again."""
        file = trial.error_file
        error = Path(file).read_text() if file and Path(file).exists() else "no traceback"
        self._failed(trial, {"reason": "worker", "error": error})

    def _close(self, trial: Any, value: float | None = None, **changes: Any) -> TrialRecord:
        assignment, record = self._record(trial)
        record = self._memory.write(
            record, worker_seconds=record.worker_seconds + self._seconds(trial), **changes
        )
        self._agenda.ended(assignment, value)
        return record

    def _came_to_an_end(self, trial: Any, result: dict[str, Any]) -> None:
        assignment, record = self._record(trial)
        value = float(result[self._metric])
        if assignment.rung is not None:
            rungs = [*record.rungs, {"epochs": assignment.rung, "value": value}]
            self._memory.curves[record.index][assignment.rung] = value
            record = self._close(trial, value, status="paused", rungs=rungs)
            # A longer schedule begins afresh, so nobody will go on from these.
            try_to_remove(assignment.folder / "checkpoints")
        elif result["finished"]:
            costs = {**record.costs, "training_seconds": float(result["elapsed_seconds"])}
            record = self._close(trial, status="completed", costs=costs)
        else:
            record = self._close(trial, status="stopped_early")
        if record.ended:
            self._prune()
        self._display.ended(record, result)

    def _failed(self, trial: Any, failure: dict[str, Any]) -> None:
        assignment, record = self._record(trial)
        fetch(assignment.folder)
        if failure["reason"] == "worker" and (hang := newest_hang(assignment.folder)) is not None:
            failure = {"reason": "hang", "error": hang}
        recipe = self._sweep.recipe_for(record.overrides)
        follows = consequence(record, recipe, failure)
        record = self._close(trial, **follows.changes)
        if follows.again:
            self._display.line(
                f"{record.id}: out of memory; again with at most {record.micro_batch_limit} images "
                "of a worker in memory"
            )
            self._agenda.requeue(record)
            return
        self._display.ended(record, {})
        reason = follows.stop or all_fail_alike(self._memory.records.values())
        if reason is not None:
            self.stop(reason)
