import sqlite3
import subprocess
import sys

import pytest
from mlflow import MlflowClient

from sweeps.tracking.connect import connect
from sweeps.tracking.store import artifact_location, opening, tracking_uri


def test_the_database_keeps_a_write_ahead_log_from_its_creation_on(tmp_path):
    file = tmp_path / "new" / "mlflow.db"
    with opening(f"sqlite:///{file}"):
        MlflowClient(f"sqlite:///{file}").create_experiment("one")
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("uri", [None, "sqlite:///mlflow.db", "sqlite:///./other/../mlflow.db"])
def test_a_database_is_named_by_its_absolute_path(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("SWEEPS_HOME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    assert tracking_uri(uri) == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_server_is_named_as_the_environment_or_the_file_names_it(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    assert tracking_uri(None) == "https://mlflow.example"
    assert tracking_uri("http://127.0.0.1:5000") == "http://127.0.0.1:5000"
    assert artifact_location("https://mlflow.example", "digits") is None


@pytest.mark.parametrize("experiment", ["digits", "../up", "a b#c?", "Ärzte/%2e"])
def test_artifacts_lie_beside_the_database_whatever_the_experiment_is_called(tmp_path, experiment):
    home = tmp_path / "home"
    uri = f"sqlite:///{home}/mlflow.db"
    with opening(uri):
        client = MlflowClient(uri)
    experiment_id = client.create_experiment(
        experiment, artifact_location=artifact_location(uri, experiment)
    )
    run = client.create_run(experiment_id)
    client.log_text(run.info.run_id, "text", "note.txt")
    (file,) = tmp_path.rglob("note.txt")
    assert file.relative_to(home).parts[0] == "mlartifacts"


def test_a_process_killed_while_it_makes_a_database_leaves_none_that_cannot_be_opened(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    command = [sys.executable, "-c", "import sys; from sweeps.tracking.connect import connect; "
               "connect(sys.argv[1])", uri]  # fmt: skip
    maker = subprocess.Popen(command)
    unfinished = tmp_path / ".mlflow.db.unfinished"
    while not (unfinished.exists() and unfinished.stat().st_size):  # its first tables are there
        assert maker.poll() is None
    maker.kill()
    maker.wait()
    assert not (tmp_path / "mlflow.db").exists()
    connect(uri).create_experiment("digits")
    assert not unfinished.exists()


def test_a_full_disk_is_an_oserror_and_leaves_no_half_made_database(tmp_path):
    code = """
import resource, sys
from mlflow import MlflowClient
from sweeps.tracking.connect import connect
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
try:
    connect(sys.argv[1])
except OSError as error:
    print(error)
"""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    done = subprocess.run(
        [sys.executable, "-c", code, uri], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith(f"the database {tmp_path / 'mlflow.db'} cannot be made: ")
    assert list(tmp_path.iterdir()) == []
