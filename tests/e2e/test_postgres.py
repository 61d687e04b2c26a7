"""A tracking server over PostgreSQL, as a team has it: every run and point arrives, once."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.e2e.conftest import PLAIN_TRACKING, Cluster, Home, free_port, started

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

SPACE = "space: {seed: {int: [1, 9]}}\nsearch: {algorithm: random, trials: 1}\n"
_INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture
def postgres() -> Iterator[str]:
    """A PostgreSQL of its own on 127.0.0.1, gone afterwards; its address with its password."""
    if not _INSTALLED:
        pytest.skip("PostgreSQL is not installed; apt-get install postgresql")
    tools = _INSTALLED[-1].parent
    with _folder() as (folder, as_user):
        password, port = secrets.token_hex(16), free_port()
        secret = folder / "password"
        secret.write_text(password)

        def run(tool: str, *arguments: str) -> None:
            command = [*as_user, str(tools / tool), "-D", str(folder / "data"), *arguments]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr

        run("initdb", "--auth=scram-sha-256", "--username=mlflow", f"--pwfile={secret}")
        options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
        run("pg_ctl", "--wait", "--log", str(folder / "log"), "--options", options, "start")
        try:
            yield f"postgresql+psycopg2://mlflow:{password}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "--wait", "--mode", "immediate", "stop")


@contextmanager
def _folder() -> Iterator[tuple[Path, list[str]]]:
    """A short path (of a socket), and what starts a program as somebody who is not root."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if os.getuid() != 0:
            yield folder, []
            return
        user = pwd.getpwnam("postgres")  # Debian's package makes it; PostgreSQL refuses root
        os.chown(folder, user.pw_uid, user.pw_gid)
        yield folder, ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    finally:
        shutil.rmtree(folder)


def test_a_sweep_is_mirrored_to_a_server_over_postgresql_and_continued_there(
    home: Home, cluster: Cluster, postgres: str
):
    home.ray = cluster.ray
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = f"server --backend-store-uri {postgres} --artifacts-destination artifacts"
    server += f" --host 127.0.0.1 --port {port} --workers 1"
    tracking = PLAIN_TRACKING.replace("{", f"{{uri: '{url}', ", 1)
    with started(server, dict(os.environ), home.path):
        home.run("run", home.write(f"{SPACE}{tracking}\n"))
        home.run("extend", "e2e", "--trials", "+1")
        client = MlflowClient(url)
        experiment = client.get_experiment_by_name("e2e")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
        roles = sorted(run.data.tags["sweep.role"] for run in runs)
        assert roles == ["sweep", "trial", "trial"]
        assert {run.info.status for run in runs} == {"FINISHED"}
        for run in runs:
            if run.data.tags["sweep.role"] == "trial":
                points = client.get_metric_history(run.info.run_id, "epoch")
                assert sorted(point.value for point in points) == [1, 2, 3, 4]
                folders = {file.path for file in client.list_artifacts(run.info.run_id)}
                assert {"best_checkpoint", "last_checkpoint"} <= folders
