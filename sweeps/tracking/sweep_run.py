"""The sweep's own run in MLflow, below which its trials' runs lie."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from sweeps.record import SweepState
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder
from sweeps.tracking.artifacts import log_sweep_files
from sweeps.tracking.asked_once import asked_once
from sweeps.tracking.dead_runs import close_dead_runs, folder_tags
from sweeps.tracking.store import artifact_location
from sweeps.tracking.view import view_tag

_LOG = logging.getLogger(__name__)


def open_experiment(client: Any, uri: str, name: str) -> str:
    """Find or create an experiment; returns its id."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return experiment.experiment_id
    return client.create_experiment(name, artifact_location=artifact_location(uri, name))


def open_sweep_run(client: Any, experiment_id: str, sweep: Sweep, folder: SweepFolder) -> str:
    """Create the sweep's run or go on with it, with its files and the dashboard's view.

    Runs that a killed driver of another sweep left open in the experiment are closed.

    Args:
        client: An `MlflowClient`.
        experiment_id: Of the sweep's experiment.
        sweep: What is swept.
        folder: Its folder.

    Returns:
        The run's id.
    """
    state = folder.read_state()
    condition = f"tags.`sweep.id` = '{state.id}' and tags.`sweep.role` = 'sweep'"
    found = client.search_runs([experiment_id], condition, max_results=1)
    tags = folder_tags(folder)
    if found:
        run_id = found[0].info.run_id
        client.update_run(run_id, status="RUNNING")
        for key, value in tags.items():  # it may have moved since
            client.set_tag(run_id, key, value)
    else:
        tags |= {"sweep.id": state.id, "sweep.name": folder.name, "sweep.role": "sweep"}
        with asked_once():
            run = client.create_run(
                experiment_id,
                start_time=round(state.started_at * 1000),
                run_name=folder.name,
                tags=tags,
            )
        run_id = run.info.run_id
    log_sweep_files(client, run_id, folder)
    _attempt(
        "the dashboard's view is not saved",
        partial(_save_view, client, experiment_id, sweep, state),
    )
    _attempt(
        "runs of killed drivers are not closed",
        partial(close_dead_runs, client, experiment_id, state.id),
    )
    return run_id


def _save_view(client: Any, experiment_id: str, sweep: Sweep, state: SweepState) -> None:
    client.set_experiment_tag(experiment_id, *view_tag(sweep, state))


def _attempt(otherwise: str, step: Callable[[], object]) -> None:
    """Take a step that the mirror can do without, as a server may refuse it."""
    from mlflow.exceptions import MlflowException

    try:
        step()
    except (MlflowException, OSError, TypeError, ValueError) as error:
        # The last three: another user's folder that may not be read, or is of another version.
        _LOG.warning("tracking: %s: %s", otherwise, next(iter(str(error).splitlines()), ""))
