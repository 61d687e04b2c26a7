"""What happens to the trials, written down as it happens."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune

from sweeps.display import Display
from sweeps.search import SweepSearch
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder, TrialRecord, TrialStatus, read_record


class Recorder(tune.Callback):
    """Writes what Tune tells of its trials into the sweep's folder; tells searcher and display.

    The signatures are Tune's.
    """

    def __init__(
        self, sweep: Sweep, folder: SweepFolder, search: SweepSearch, display: Display
    ) -> None:
        self._workers = sweep.spec.resources.workers_per_trial
        self._folder = folder
        self._search = search
        self._display = display
        self._records: dict[str, TrialRecord] = {}
        self._started: dict[str, float] = {}

    def __getstate__(self) -> dict[str, object]:
        """Tune pickles its callbacks for a restore that is not used here; there is no state."""
        return {}

    def _update(self, trial: Any, **changes: Any) -> TrialRecord:
        record = replace(self._records[trial.trial_id], **changes)
        self._records[trial.trial_id] = record
        self._folder.write_record(record)
        return record

    def _spent(self, trial: Any) -> float:
        now = time.monotonic()
        seconds = now - self._started.get(trial.trial_id, now)
        self._started[trial.trial_id] = now
        return self._records[trial.trial_id].worker_seconds + seconds * self._workers

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It runs, for the first time or again."""
        self._started[trial.trial_id] = time.monotonic()
        self._records[trial.trial_id] = read_record(Path(trial.config["folder"]))
        self._display.started(self._update(trial, status="running"))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """It has trained another epoch."""
        if result["kind"] != "epoch":
            return
        record = self._records[trial.trial_id]
        changes: dict[str, Any] = {"worker_seconds": self._spent(trial)}
        first_step_at = result["first_step_at"]
        if record.start_seconds is None and record.suggested_at and first_step_at:
            changes["start_seconds"] = first_step_at - record.suggested_at
        self._display.epoch(self._update(trial, **changes), result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It has trained its last epoch, was stopped, has failed, or the sweep is interrupted."""
        match trial.last_result:
            case {"kind": "epoch", "finished": finished}:
                status: TrialStatus = "completed" if finished else "stopped_early"
                self._end(trial, status=status)
            case {"kind": "failed", "reason": reason, "error": error}:
                self._end(trial, status="failed", reason=reason, error=error)
            case _:
                pass  # interrupted: it stays as it is, and a resume goes on with it

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its gang or its trainable died, for the last time that Tune tries again."""
        file = trial.error_file
        error = Path(file).read_text() if file and Path(file).exists() else "no traceback"
        self._end(trial, status="failed", reason="worker", error=error)

    def _end(self, trial: Any, **changes: Any) -> None:
        record = self._update(trial, worker_seconds=self._spent(trial), **changes)
        history = self._folder.history(record)
        self._search.tell(record, history)
        self._display.ended(record, history[-1] if history else {})
