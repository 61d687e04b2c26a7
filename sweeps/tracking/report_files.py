"""The report, attached to the sweep's run: the page and its figures as pictures."""

from typing import Any

from resnet_core.credentials import without_credentials
from sweeps.page.pictures import FOLDER_NAME
from sweeps.page.report import FILE_NAME
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder
from sweeps.tracking.connect import connect
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
    from mlflow.exceptions import MlflowException

    uri = tracking_uri(sweep.spec.tracking.uri)
    where = without_credentials(uri)
    try:
        client = connect(uri)
        experiment = client.get_experiment_by_name(sweep.spec.experiment_name)
        condition = f"tags.`sweep.id` = '{folder.read_state().id}' and tags.`sweep.role` = 'sweep'"
        runs = client.search_runs([experiment.experiment_id], condition) if experiment else []
        if not runs:
            return f"no run of {folder.name} at {where}, so the report is attached to none"
        log_report(client, runs[0].info.run_id, folder)
    except (MlflowException, OSError) as error:
        reason = without_credentials(next(iter(str(error).splitlines()), ""))
        return f"not attached at {where}: {reason}"
    return f"attached to run {runs[0].info.run_id} at {where}"
