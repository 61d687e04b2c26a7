import socket
import uuid

import pytest
from mlflow import MlflowClient

from sweeps.record import SweepState
from sweeps.storage import SweepFolder
from sweeps.tracking.dead_runs import close_dead_runs, folder_tags


@pytest.fixture
def client(tmp_path):
    return MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture
def experiment_id(client):
    return client.create_experiment("shared")


def begin(path, sweep_id):
    path.mkdir()
    folder = SweepFolder(path)
    folder.write_state(SweepState(id=sweep_id))
    return folder


def open_runs(client, experiment_id, folder, sweep_id, **tags):
    """A sweep's run and one of its trials', both RUNNING; their ids."""
    common = {"sweep.id": sweep_id}
    parent = client.create_run(
        experiment_id, tags={**common, "sweep.role": "sweep", **folder_tags(folder), **tags}
    )
    trial = client.create_run(experiment_id, tags={**common, "sweep.role": "trial"})
    return {parent.info.run_id, trial.info.run_id}


def test_runs_of_a_driver_that_is_gone_are_killed_and_no_others(tmp_path, client, experiment_id):
    dead = begin(tmp_path / "dead", "dead")
    alive = begin(tmp_path / "alive", "alive")
    own = begin(tmp_path / "own", "own")
    gone = SweepFolder(tmp_path / "removed")
    killed = open_runs(client, experiment_id, dead, "dead")
    killed |= open_runs(client, experiment_id, gone, "gone")
    # Another sweep has the removed one's folder by now.
    killed |= open_runs(client, experiment_id, alive, "replaced")
    spared = open_runs(client, experiment_id, alive, "alive")
    spared |= open_runs(client, experiment_id, own, "own")
    spared |= open_runs(client, experiment_id, dead, "remote", **{"sweep.host": "another"})
    # A machine of the same name, with another network card.
    namesake = {"sweep.host": f"{socket.gethostname()} {uuid.getnode() ^ 1:012x}"}
    spared |= open_runs(client, experiment_id, dead, "namesake", **namesake)
    spared.add(client.create_run(experiment_id).info.run_id)  # somebody's own

    with alive.locked(), own.locked():
        assert set(close_dead_runs(client, experiment_id, "own")) == killed
    assert {client.get_run(run_id).info.status for run_id in killed} == {"KILLED"}
    assert {client.get_run(run_id).info.status for run_id in spared} == {"RUNNING"}


def test_what_has_ended_is_left_as_it_is(tmp_path, client, experiment_id):
    dead = begin(tmp_path / "dead", "dead")
    parent, trial = open_runs(client, experiment_id, dead, "dead")
    client.set_terminated(trial, "FINISHED")
    client.set_terminated(parent, "FAILED")
    assert close_dead_runs(client, experiment_id, "own") == []
    assert client.get_run(parent).info.status == "FAILED"
