"""The documented submission, against a Ray started as the documentation says."""

import json
import subprocess

import pytest
from mlflow import MlflowClient

from tests.e2e.conftest import REPOSITORY, Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]


def test_a_submitted_sweep_runs_to_its_end_and_is_tracked(tmp_path, cluster: Cluster):
    home = json.dumps({"env_vars": {"SWEEPS_HOME": str(tmp_path)}}, separators=(",", ":"))
    command = f"ray job submit --address {cluster.dashboard} --working-dir . --submission-id e2e"
    command += f" --runtime-env-json {home} --"
    command += " python -m sweeps run configs/sweeps/digits_quickstart.yaml"
    command += " --set search.trials=1 --set max_duration=3ep --set confirm=null"
    command += " --set early_stopping=null"
    command += " --set tracking.register_winner=false --set tracking.figures=false"
    done = subprocess.run(
        command.split(), cwd=REPOSITORY, env=cluster.environment, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    status = subprocess.run(
        ["ray", "job", "status", "--address", cluster.dashboard, "e2e"],
        env=cluster.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "succeeded" in status.stdout
    assert "accuracy" in done.stdout.split("Best: ")[1]

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    roles = sorted(run.data.tags["sweep.role"] for run in runs)
    assert roles == ["sweep", "trial"]
    assert {run.info.status for run in runs} == {"FINISHED"}
