"""MLflow as a mirror of the sweep's folder: runs, points and artifacts follow what lies there.

Training never talks to MLflow. Rank 0 writes each epoch to the trial's spool (`spool.py`); one
shipper thread in the driver reads the spools and sends what is new, and moves its mark only after
the server accepted. A server that is away delays the mirror and nothing else, and whatever was not
sent is sent by the next driver of the sweep. Sending a point twice is harmless: MLflow keeps one
point per (run, metric, timestamp, step, value).
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from resnet_core.credentials import without_credentials
from sweeps.record import TrialRecord
from sweeps.spec import Sweep
from sweeps.spool import Spool
from sweeps.storage import SweepFolder, read_data_file
from sweeps.tracking.artifacts import log_checkpoints
from sweeps.tracking.connect import connect, prepare_environment
from sweeps.tracking.data_input import log_data
from sweeps.tracking.mark import Mark
from sweeps.tracking.points import entities, fresh
from sweeps.tracking.report_files import log_report
from sweeps.tracking.schedule_plot import schedule_svg
from sweeps.tracking.store import tracking_uri
from sweeps.tracking.sweep_run import open_experiment, open_sweep_run
from sweeps.tracking.trial_run import close_trial_run, open_trial_run

SHIP_SECONDS = 1.0
REFRESH_SECONDS = 10.0
"""How often the spools are fetched of a sweep that lies in an object store."""
_LOG = logging.getLogger(__name__)


class Tracker:
    """The shipper of one sweep: a thread that mirrors the folder until `finish`.

    Args:
        sweep: The sweep, for names, params and the tracking section.
        folder: Its folder, which is all that the mirror is made from.
    """

    def __init__(self, sweep: Sweep, folder: SweepFolder) -> None:
        self.uri = tracking_uri(sweep.spec.tracking.uri)
        self._sweep = sweep
        self._folder = folder
        self._stop = threading.Event()
        self._client: Any = None
        self._experiment_id = ""
        self._parent_run_id = ""
        self._has_schedule = False  # of the recipe, among the sweep's files
        self._complaints: set[str] = set()
        self._num_steps = 0  # that were taken, by which `finish` sees that something arrives
        self._is_complete = False
        self._failure: Exception | None = None
        self._mirrored: set[Path] = set()  # folders of trials that have ended, here and there
        self._waiting: dict[Path, float] = {}  # folders of paused trials -> when they changed
        self._pass_began = self._refresh_at = 0.0
        self._thread = threading.Thread(target=self._run, name="tracker", daemon=True)

    def start(self) -> None:
        """Begin mirroring; returns at once, MLflow is imported in the thread."""
        prepare_environment()
        self._thread.start()

    def finish(self, *, timeout_seconds: float = 120.0) -> bool:
        """Mirror what is left and close the parent run.

        Args:
            timeout_seconds: The rest is given up once no file and no step has arrived for so long:
                a server that hangs costs the driver this and no more, a slow one is waited for.

        Returns:
            Whether everything has arrived; if not, the next driver of the sweep goes on.
        """
        self._stop.set()
        seen = -1
        while self._thread.is_alive() and seen != self._num_steps:
            seen = self._num_steps
            self._thread.join(timeout_seconds)
        if self._failure is not None:
            raise self._failure
        return self._is_complete

    def _run(self) -> None:
        wait_seconds = 0.0
        while not self._stop.wait(wait_seconds):
            self._pass(last=False)
            wait_seconds = SHIP_SECONDS
        self._is_complete = self._pass(last=True)

    def _pass(self, *, last: bool) -> bool:
        """Look at everything once; what nobody has thought of ends this pass, not the mirror."""
        try:
            return self._ship_all(last=last)
        except Exception as error:  # noqa: BLE001  the last one's is raised again by `finish`
            self._complain(error)
            self._failure = error if last else None
            return False

    def _ship_all(self, *, last: bool) -> bool:
        steps = [self._connect] if not self._parent_run_id else []
        if last or time.monotonic() > self._refresh_at:
            self._folder.refresh()
            self._refresh_at = time.monotonic() + REFRESH_SECONDS
        self._pass_began = time.time()
        skip = self._mirrored if last else self._mirrored | self._still_waiting()
        records = [*self._folder.read_records(skip), *self._folder.read_confirmations(skip)]
        steps += [partial(self._ship, record, last=last) for record in records]
        steps += [*self._ship_kept(), self._close_parent] if last else []
        complete = True
        for step in steps:
            # What goes wrong with one trial does not hold up the others; without a server or a
            # parent run there is nothing to try.
            arrived, is_away = self._attempt(step)
            complete = complete and arrived
            if is_away or not self._parent_run_id:
                break
        if complete:
            self._complaints.clear()
        return complete

    def _still_waiting(self) -> set[Path]:
        """Trials that wait for their promotion, sent and unchanged: hundreds, read once."""
        return {folder for folder, known in self._waiting.items() if _changed_at(folder) == known}

    def _attempt(self, step: Callable[[], None]) -> tuple[bool, bool]:
        """Take a step; returns whether it was taken, and whether the server is away."""
        from mlflow.exceptions import MlflowException, RestException

        try:
            step()
        except (MlflowException, OSError) as error:  # requests' errors are OSErrors
            self._complain(error)
            return False, self.uri.startswith("http") and not isinstance(error, RestException)
        self._has_arrived()
        return True, False

    def _has_arrived(self) -> None:
        self._num_steps += 1

    def _complain(self, error: Exception) -> None:
        """Once per kind, not once per second."""
        text = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        text = without_credentials(text)
        if text not in self._complaints:
            self._complaints.add(text)
            _LOG.warning("tracking at %s is behind: %s", without_credentials(self.uri), text)

    # ---- once per driver ----------------------------------------------------------------------

    def _connect(self) -> None:
        if self._client is None:
            self._client = connect(self.uri)
        name = self._sweep.spec.experiment_name
        self._experiment_id = open_experiment(self._client, self.uri, name)
        self._parent_run_id = open_sweep_run(
            self._client, self._experiment_id, self._sweep, self._folder
        )

    def _ship_kept(self) -> list[Callable[[], None]]:
        """With ``keep_best`` only the end tells whose checkpoints stay, here as in the folder."""
        is_open = self._folder.read_state().status == "interrupted"
        if is_open or self._sweep.spec.storage.keep_best is None:
            return []
        records = [*self._folder.read_records(), *self._folder.read_confirmations()]
        return [partial(self._ship_kept_of, record) for record in records if record.ended]

    def _ship_kept_of(self, record: TrialRecord) -> None:
        mark = Mark.read(self._folder.trial_folder(record))
        if mark is not None:
            self._ship_checkpoints(record, mark)

    def _close_parent(self) -> None:
        state = self._folder.read_state()
        for trial, metrics in state.test.items():
            for name, value in metrics.items():
                if not isinstance(value, int | float):
                    continue  # which images were classified correctly
                # The same time at each try, so that MLflow keeps one point.
                self._client.log_metric(
                    self._parent_run_id,
                    f"test_{name}_{trial}",
                    value,
                    timestamp=round(state.started_at * 1000),
                    step=0,
                )
        log_report(self._client, self._parent_run_id, self._folder)
        ends = {"finished": "FINISHED", "stopped": "FAILED"}
        status = ends.get(state.status, "KILLED")
        self._client.set_terminated(self._parent_run_id, status)

    # ---- once per trial -----------------------------------------------------------------------

    def _ship(self, record: TrialRecord, *, last: bool) -> None:
        folder = self._folder.trial_folder(record)
        mark = Mark.read(folder)
        if mark is None:
            # One that was interrupted before it was seen here is pending again, with its epochs.
            if record.status == "pending" and not self._spools(record):
                return
            run_id = open_trial_run(
                self._client, self._experiment_id, self._parent_run_id, self._sweep, record,
                sweep_id=self._folder.read_state().id,
            )  # fmt: skip
            mark = Mark(run_id, status="running").write(folder)
        mark = self._ship_points(record, mark)
        # A trial that waits for its promotion waits in vain once the driver ends.
        status = "interrupted" if last and record.status in ("paused", "pending") else record.status
        if mark.status == status:
            if record.ended:
                self._mirrored.add(folder)
            elif status == "paused" and (changed_at := _changed_at(folder)) < self._pass_began:
                self._waiting[folder] = changed_at
            return
        if record.ended:
            if self._sweep.spec.storage.keep_best is None:
                mark = self._ship_checkpoints(record, mark)
            close_trial_run(self._client, mark.run_id, record)
        elif status in ("running", "paused"):
            self._client.update_run(mark.run_id, status="RUNNING")
        else:
            self._client.set_terminated(mark.run_id, "KILLED")
        replace(mark, status=status).write(folder)

    def _ship_points(self, record: TrialRecord, mark: Mark) -> Mark:
        """Send what is new: first of the rungs' schedules, then of the whole one.

        MLflow's step counts on from one schedule to the next, so that curves do not overlap.
        """
        folder = self._folder.trial_folder(record)
        steps_before = 0
        for rung, spool in self._spools(record).items():
            key = "whole" if rung is None else f"ep{rung:04d}"
            points, offset = spool.read(offset=mark.offsets.get(key, 0))
            if points:
                mark = self._ship_data(record, mark, spool.path.parent)
                metrics, steps = fresh(entities(points, steps_before), mark.steps)
                self._client.log_batch(mark.run_id, metrics=metrics)
                mark = replace(
                    mark,
                    offsets={**mark.offsets, key: offset},
                    points=mark.points + len(points),
                    steps=steps,
                )
                mark.write(folder)
            if rung is not None:
                steps_before += max((point["step"] for point in spool.read()[0]), default=0)
        return mark

    def _spools(self, record: TrialRecord) -> dict[int | None, Spool]:
        """Those that exist, by their rung, in the order of training; None is the whole schedule."""
        rungs = {rung["epochs"]: None for rung in record.rungs} | {record.rung: None}
        found = {
            rung: Spool(self._folder.training_folder(record, rung))
            for rung in [*(rung for rung in rungs if rung is not None), None]
        }
        return {rung: spool for rung, spool in found.items() if spool.path.exists()}

    def _ship_data(self, record: TrialRecord, mark: Mark, training_folder: Path) -> Mark:
        """Tell which data it is trained on, and draw the schedule, which depends on their number.

        Trials have the sweep's drawing, but those whose schedule is another.
        """
        data = None if mark.has_data else read_data_file(training_folder)
        if data is None:
            return mark
        log_data(self._client, mark.run_id, data)
        num_train = data["splits"]["train"]["num_images"]
        of_sweep, of_trial = (
            schedule_svg(self._sweep.recipe_for(overrides), num_train)
            for overrides in ({}, record.overrides)
        )
        if of_trial != of_sweep:
            self._client.log_text(mark.run_id, of_trial, "schedule.svg")
        elif not self._has_schedule:
            self._client.log_text(self._parent_run_id, of_sweep, "schedule.svg")
            self._has_schedule = True
        return replace(mark, has_data=True)

    def _ship_checkpoints(self, record: TrialRecord, mark: Mark) -> Mark:
        if mark.has_checkpoints:
            return mark
        folder = self._folder.trial_folder(record)
        log_checkpoints(
            self._client, mark.run_id, folder, self._sweep.spec.objective, self._has_arrived
        )
        return replace(mark, has_checkpoints=True).write(folder)


def _changed_at(trial_folder: Path) -> float:
    """When the driver last wrote the trial down, which it does at every change; Unix seconds."""
    return (trial_folder / "trial.json").stat().st_mtime
