"""What MLflow has of a sweep beside its numbers, and what becomes of runs that nobody closes."""

import json
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import Cluster, Home, wait_for_line

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

SWEEP = (
    "space: {optimizer.decoupled_sgdw.learning_rate: {grid: [1e-7, 1e-6, 0.05]}}\n"
    "search: {algorithm: grid}\n"
    "tracking: {experiment: e2e, register_winner: false, figures: false}\n"
)


def statuses(home: Home) -> dict[str, str]:
    experiment = home.client.get_experiment_by_name("e2e")
    assert experiment is not None
    runs = home.client.search_runs([experiment.experiment_id])
    return {f"{r.data.tags['sweep.name']} {r.info.run_name}": r.info.status for r in runs}


@pytest.mark.long
def test_the_next_driver_closes_the_runs_of_a_killed_one_and_keeps_the_best_checkpoints(
    home: Home, cluster: Cluster
):
    home.ray = cluster.ray
    file = home.write(SWEEP + "storage: {keep_best: 1}\n")
    process = home.start("run", file, "--set", "name=killed", "--set", "max_duration=20ep")
    wait_for_line(process, "t0001 lr=1e-07: started")
    running = {"killed t0000 recipe": "FINISHED", "killed t0001 lr=1e-07": "RUNNING"}
    while not running.items() <= statuses(home).items():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert statuses(home)["killed killed"] == "RUNNING"

    out, err = home.run("run", file, "-o", "json")
    found = statuses(home)
    assert found["killed t0000 recipe"] == "FINISHED"
    assert found["killed killed"] == found["killed t0001 lr=1e-07"] == "KILLED"
    assert {found[name] for name in found if name.startswith("e2e ")} == {"FINISHED"}

    folder = home.path / "results/e2e"
    kept = {file.parts[-3][:5]: file for file in folder.glob("trials/*/checkpoints/ep0004")}
    assert kept.keys() == {"t0000", "t0003"}
    size = sum(file.stat().st_size for file in folder.glob("trials/*/checkpoints/*/*"))
    assert json.loads(out)["checkpoint_bytes"] == size > 0
    assert f"checkpoints take {size / 1e6:.1f} MB" in err

    experiment = home.client.get_experiment_by_name("e2e")
    assert experiment is not None
    runs = home.client.search_runs(
        [experiment.experiment_id], "tags.`sweep.name` = 'e2e'", order_by=["attributes.start_time"]
    )
    parent, *trials = runs
    files = {run.info.run_id: _files(home, run.info.run_id) for run in runs}
    assert {"environment.json", "resolved.yaml", "schedule.svg", "sweep.yaml"} <= files[
        parent.info.run_id
    ]
    for run in trials:
        has_checkpoints = run.data.tags["sweep.trial"] in kept
        expected = {"recipe.yaml"}
        if has_checkpoints:
            expected |= {"best_checkpoint", "last_checkpoint"}
        assert files[run.info.run_id] == expected
        assert run.inputs is not None
        inputs = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}
        assert inputs.keys() == {"training", "validation"}
        assert json.loads(inputs["training"].profile or "{}")["num_images"] == 480
        assert run.data.metrics["system/system_memory_usage_megabytes"] > 0


def _files(home: Home, run_id: str) -> set[str]:
    return {Path(one.path).name for one in home.client.list_artifacts(run_id)}
