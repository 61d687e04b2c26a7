"""A sweep on a cluster of two nodes, given to it as a job: ended, gone on with, read elsewhere."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Cluster, Home, free_port, ray_head
from tests.e2e.nodes import assert_given_back, node

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

SWEEP = (
    "space: {optimizer.decoupled_sgdw.learning_rate: {grid: [0.05]}}\n"
    "search: {algorithm: grid}\nstorage: {checkpoint_share: 1}\n"
    "resources: {max_concurrent_trials: 2}\n"
)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Cluster]:
    """A head and a second node with one CPU each, token on: two trials need them both."""
    with ray_head(num_cpus=1) as cluster, node(cluster):
        yield cluster


@pytest.mark.long
def test_a_submitted_sweep_is_cancelled_submitted_again_and_read_by_another_process(
    home: Home, two_nodes: Cluster
):
    # What a user of the cluster has: the token, and the address of the dashboard.
    home.ray = {"RAY_AUTH_TOKEN": two_nodes.ray["RAY_AUTH_TOKEN"]}
    storage = home.path / "shared"
    there = ["--set", f"storage.path={storage}", "--set", "max_duration=30ep"]
    there += ["--set", f"tracking.uri=sqlite:///{home.path / 'mlflow.db'}"]
    command = ["submit", home.write(SWEEP), *there, "--address", two_nodes.dashboard]

    process = home.start(*command, "--follow")
    assert process.stdout is not None
    first, second = next(process.stdout), next(process.stdout)
    job = first.split()[-1]
    assert (first, second) == (
        f"job        {job}\n", f"dashboard  {two_nodes.dashboard}/#/jobs/{job}\n",
    )  # fmt: skip
    assert any("t0001: epoch 2/30" in line for line in process.stdout)
    _, err = home.run(*command, status=3)
    assert f"e2e runs already, as job {job}; watch it with: ray job logs --follow" in err
    home.run("cancel", "e2e", "--address", two_nodes.dashboard)
    _, err = process.communicate()
    assert process.returncode == 1
    assert f"job {job} was stopped" in err
    assert {run.info.status for run in home.runs().values()} == {"KILLED"}
    assert_given_back(two_nodes)
    before = {trial: home.epochs(run) for trial, run in home.runs().items()}
    assert max(map(len, before.values())) >= 2
    assert max(map(len, before.values())) < 30

    out, err = home.run(*command, "--follow", "-o", "json")
    assert "packing" in err
    assert json.loads(out.splitlines()[0])["storage"] == str(storage)
    assert "Best: t000" in err  # the log; stdout is the data
    whole = [float(epoch) for epoch in range(1, 31)]
    assert [home.epochs(run) for run in home.runs().values()] == [whole, whole]
    assert {run.info.status for run in home.runs().values()} == {"FINISHED"}
    assert_given_back(two_nodes)

    out, _ = home.run("best", "e2e", "--storage", storage, "-o", "json")
    assert json.loads(out)["trial"]["epochs"] == 30
    home.run("cancel", "e2e", "--address", two_nodes.dashboard, status=6)


def test_what_cannot_be_submitted_is_said_before_anything_is_sent(home: Home, cluster: Cluster):
    file = home.write(SWEEP)
    nowhere = f"http://127.0.0.1:{free_port()}"
    _, err = home.run("submit", file, "--address", nowhere, status=3)
    assert f"no Ray cluster takes a job at {nowhere}" in err
    _, err = home.run("submit", file, "--address", cluster.dashboard, status=3)
    assert "set RAY_AUTH_TOKEN" in err
    with (home.path / "large.bin").open("wb") as large:
        large.truncate(200_000_000)
    _, err = home.run("submit", file, "--address", nowhere, status=3)
    assert "a job may bring 100.0 MB along" in err
    assert "largest: large.bin 200.0 MB" in err
