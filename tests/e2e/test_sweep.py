"""Whole sweeps on a local Ray, their outcome read back through MLflow's and Ray's own clients."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resnet_core.manifest import read_manifest
from tests.e2e.conftest import Cluster, Home, ray_head, wait_for_line

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

RATES = "  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.001, 0.1]}\n"


@pytest.fixture
def slot() -> Iterator[Cluster]:
    """A Ray with room for one worker."""
    with ray_head(num_cpus=1) as cluster:
        yield cluster


def left_in(cluster: Cluster) -> list[Any]:
    """Living actors, placement groups and free CPUs of a Ray."""
    script = (
        "import json, ray\n"
        "from ray.util.state import list_actors, list_placement_groups\n"
        # Ray Train keeps one of its own actors per cluster, without a CPU.
        "alive = {a.class_name for a in list_actors() if a.state != 'DEAD'}\n"
        "alive = sorted(alive - {'_AutoscalingCoordinatorActor'})\n"
        "groups = [g.placement_group_id for g in list_placement_groups() if g.state != 'REMOVED']\n"
        "ray.init(logging_level='ERROR')\n"
        "print(json.dumps([alive, groups, ray.available_resources().get('CPU')]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**cluster.environment, "RAY_API_SERVER_ADDRESS": cluster.dashboard},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_early_stopping_on_a_cluster_with_one_slot_ends_and_gives_everything_back(
    home: Home, slot: Cluster
):
    home.ray = slot.ray
    file = home.write(
        "space:\n  optimizer.decoupled_sgdw.learning_rate: {loguniform: [1e-7, 1e-5]}\n"
        "search: {algorithm: random, trials: 4, seed: 1}\n"
        "early_stopping:\n  fidelity: truncate\n"
        "  asha: {grace_period: 1ep, reduction_factor: 4}\n"
    )
    out, _ = home.run("run", file, "-o", "json")
    trials = {trial["trial"]: trial for trial in json.loads(out)["trials"]}
    assert [trial["status"] for trial in trials.values()] == ["completed", *["stopped_early"] * 3]
    assert [trial["epochs"] for trial in trials.values()] == [4, 1, 1, 1]
    # A stopped trial's slot is free at once: the next one starts in far less than a worker needs
    # to start (about 10 s); its first step says that the same worker went on.
    assert all(
        trials[t]["start_seconds"] < trials["t0000"]["start_seconds"]
        for t in trials
        if t != "t0000"
    )

    runs = home.runs()
    assert {t: run.data.tags["trial.status"] for t, run in runs.items()} == {
        t: trial["status"] for t, trial in trials.items()
    }
    assert {t: home.epochs(run) for t, run in runs.items()} == {
        "t0000": [1, 2, 3, 4], "t0001": [1], "t0002": [1], "t0003": [1],
    }  # fmt: skip
    assert left_in(slot) == [[], [], 1.0]


def test_a_point_that_cannot_be_trained_is_infeasible_alone_and_says_why(
    home: Home, cluster: Cluster
):
    home.ray = cluster.ray
    file = home.write(
        "space:\n  optimizer.decoupled_sgdw.learning_rate: {grid: [1e20]}\n"
        "  seed: {grid: [1, 2]}\nsearch: {algorithm: grid}\n"
    )
    out, err = home.run("run", file, "-o", "json")
    statuses = [(t["status"], t["reason"]) for t in json.loads(out)["trials"]]
    assert statuses == [("completed", None), ("infeasible", "nan"), ("infeasible", "nan")]
    assert "infeasible (and 1 more):\nresnet_core.finite.NonFiniteLoss: the loss of step" in err
    run = home.runs()["t0001"]
    assert (run.info.status, run.data.tags["trial.reason"]) == ("FAILED", "nan")
    error = home.client.download_artifacts(run.info.run_id, "error.txt", str(home.path))
    assert "NonFiniteLoss: the loss of step" in Path(error).read_text()


def test_two_workers_train_one_trial_after_another_that_does_not_split(
    home: Home, cluster: Cluster
):
    home.ray = cluster.ray
    # 15 does not split over two workers.
    file = home.write(
        "space: {train_batch_size: {grid: [15, 8]}, seed: {grid: [1, 2]}}\n"
        "search: {algorithm: grid}\n"
        "resources: {workers_per_trial: 2, cpus_per_worker: 1}\n"
    )
    out, _ = home.run("run", file, "-o", "json", "--set", "max_duration=2ep")
    trials = json.loads(out)["trials"]
    assert [(t["overrides"].get("train_batch_size"), t["status"]) for t in trials] == [
        (None, "completed"), (15, "failed"), (15, "failed"), (8, "completed"), (8, "completed"),
    ]  # fmt: skip
    runs = home.runs()
    assert home.epochs(runs["t0000"]) == [1, 2]
    assert runs["t0000"].data.params["train_batch_size"] == "16"


def test_a_sweep_that_cannot_fit_is_refused_and_leaves_nothing_behind(home: Home, cluster: Cluster):
    home.ray = cluster.ray
    file = home.write(
        f"space:\n{RATES}search: {{trials: 2}}\n"
        "resources: {workers_per_trial: 2, cpus_per_worker: 1000}\n"
    )
    _, err = home.run("run", file, status=3)
    assert "a trial needs 2 workers of 1000 CPU each, this Ray cluster has room for 0" in err
    assert sorted(path.name for path in home.path.iterdir() if path.name != "results") == [
        "recipe.yaml", "sweep.yaml",
    ]  # fmt: skip
    assert not (home.path / "results/e2e").exists()


def test_a_conditional_space_trains_only_possible_models(home: Home, cluster: Cluster):
    home.ray = cluster.ray
    when = "when: {model.name: [resnet50]}"
    file = home.write(
        f"space:\n  model.name: {{choice: [resnet18, resnet50]}}\n"
        f"  model.groups: {{choice: [2, 4], {when}}}\n"
        f"  model.width_per_group: {{choice: [4, 8], {when}}}\n"
        "search: {algorithm: tpe, trials: 5, seed: 2}\n"
        "resources: {max_concurrent_trials: 2}\n"
    )
    home.run("run", file, "--set", "max_duration=1ep", "--set", "tracking.experiment=e2e")
    runs = home.runs()
    params = [run.data.params for run in runs.values()]
    assert {p["model.name"] for p in params} == {"resnet_20", "resnet18", "resnet50"}
    for p in params:
        is_bottleneck = p["model.name"] == "resnet50"
        assert (p["model.groups"] in ("2", "4")) is is_bottleneck
        assert (p["model.width_per_group"] in ("4", "8")) is is_bottleneck


def test_ctrl_c_ends_cleanly_and_resume_finishes_without_doing_anything_twice(home: Home):
    file = home.write(f"space:\n{RATES}search: {{algorithm: tpe, trials: 3, seed: 5}}\n")
    process = home.start("run", file)
    wait_for_line(process, "t0001: epoch 2/4")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "go on with: python -m sweeps resume e2e" in err
    assert home.runs()["t0001"].info.status == "KILLED"
    (record,) = (home.path / "results/e2e/trials").glob("t0000-*/trial.json")
    before = record.read_text()

    # A trace that only a training resumed from this very checkpoint carries on.
    *_, manifest = sorted(
        (home.path / "results/e2e/trials").glob("t0001-*/checkpoints/*/man*.json")
    )
    saved = read_manifest(manifest.parent)
    changed = replace(saved, elapsed_seconds=saved.elapsed_seconds + 1000)
    manifest.write_text(changed.to_json())

    out, _ = home.run("resume", "e2e", "-o", "json")
    assert [trial["epochs"] for trial in json.loads(out)["trials"]] == [4, 4, 4]
    assert record.read_text() == before  # the trial that had finished was not touched
    runs = home.runs()
    assert list(runs) == ["t0002", "t0001", "t0000"]
    assert runs["t0001"].data.metrics["elapsed_seconds"] > 1000
    assert runs["t0002"].data.metrics["elapsed_seconds"] < 1000
    assert all(home.epochs(run) == [1, 2, 3, 4] for run in runs.values())
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
