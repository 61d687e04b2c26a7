"""The report, attached to the sweep's run: the page and its figures as pictures."""

from typing import Any

from sweeps.page.pictures import FOLDER_NAME
from sweeps.page.report import FILE_NAME
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder
from sweeps.tracking.store import tracking_uri


def log_report(client: Any, run_id: str, folder: SweepFolder) -> None:
    """Log ``report.html`` and ``figures/`` to the run, as far as they were written.

    Raises:
        MlflowException: If the server does not take it.
    """
    if (folder.path / FILE_NAME).exists():
        client.log_artifact(run_id, str(folder.path / FILE_NAME))
    if (folder.path / FOLDER_NAME).exists():
        client.log_artifacts(run_id, str(folder.path / FOLDER_NAME), FOLDER_NAME)


def attach(sweep: Sweep, folder: SweepFolder) -> str:
    """Log the report to the run that a driver has made; returns what was done, in a line."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri = tracking_uri(sweep.spec.tracking.uri)
    try:
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(sweep.spec.experiment_name)
        condition = f"tags.`sweep.id` = '{folder.read_state().id}' and tags.`sweep.role` = 'sweep'"
        runs = client.search_runs([experiment.experiment_id], condition) if experiment else []
        if not runs:
            return f"no run of {folder.name} at {uri}, so the report is attached to none"
        log_report(client, runs[0].info.run_id, folder)
    except (MlflowException, OSError) as error:
        return f"not attached at {uri}: {next(iter(str(error).splitlines()), '')}"
    return f"attached to run {runs[0].info.run_id} at {uri}"
