"""Where the dashboard shows which sweep, read from the tracking store."""

from dataclasses import dataclass

from resnet_core.credentials import without_credentials
from sweeps.tracking.connect import connect
from sweeps.tracking.view import view_link


@dataclass(frozen=True)
class SweepLink:
    """A sweep that the store knows, and the address of its view."""

    name: str
    address: str


def sweep_links(uri: str, server: str) -> list[SweepLink]:
    """The sweeps of a store, the newest first; a database that is not there yet is created.

    Args:
        uri: Of the store, as `tracking_uri` gives it.
        server: Address of the dashboard, ``http://127.0.0.1:5000``.

    Raises:
        OSError: If the store cannot be read.
    """
    from mlflow.exceptions import MlflowException

    try:
        client = connect(uri)
        experiments = {one.experiment_id: one for one in client.search_experiments()}
        order = ["attributes.start_time DESC"]
        runs = client.search_runs(list(experiments), "tags.`sweep.role` = 'sweep'", order_by=order)
    except (MlflowException, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        told = f"tracking at {uri} cannot be read: {reason}"
        raise OSError(without_credentials(told)) from error
    return [
        SweepLink(
            run.data.tags["sweep.name"],
            view_link(
                server,
                run.info.experiment_id,
                run.data.tags["sweep.name"],
                run.data.tags["sweep.id"],
                experiments[run.info.experiment_id].tags,
            ),
        )
        for run in runs
    ]
