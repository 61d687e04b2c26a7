"""A trial that takes as many workers as there is room for, on real nodes that come and go."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import REPOSITORY, Cluster, Home, ray_head, wait_for_line
from tests.e2e.nodes import assert_given_back, node

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow, pytest.mark.long]

SWEEP = (
    "space: {seed: {grid: [1]}}\nsearch: {algorithm: random, trials: 1}\n"
    "storage: {checkpoint_share: 1}\n"
    "resources: {workers_per_trial: [1, 2], cpus_per_worker: 1}\n"
)

# Reports how many workers it has, until the file that it is told of is there.
COUNTING = """\
import sys, time
from pathlib import Path
import ray
from ray import train
from ray.train import RunConfig, ScalingConfig
from sweeps.elastic_trainer import ElasticTrainer

def loop(config):
    if train.get_context().get_world_rank() == 0:
        with open(config["log"], "a") as log:
            log.write(f"{train.get_context().get_world_size()}\\n")
    while not Path(config["stop"]).exists():
        time.sleep(0.1)

ray.init(address="auto", log_to_driver=False, runtime_env={"env_vars": {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5", "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0"}})
folder = Path(sys.argv[1])
ElasticTrainer(
    loop,
    counts=(1, 2, 4),
    train_loop_config={"log": str(folder / "log"), "stop": str(folder / "stop")},
    scaling_config=ScalingConfig(
        num_workers=(1, 4), resources_per_worker={"CPU": 1}, elastic_resize_monitor_interval_s=1,
    ),
    run_config=RunConfig(name="counting", storage_path=str(folder)),
).fit()
"""


@pytest.fixture
def one_cpu() -> Iterator[Cluster]:
    with ray_head(num_cpus=1) as cluster:
        yield cluster


def test_a_trial_that_loses_the_node_of_a_worker_goes_on_with_the_other_one(
    home: Home, one_cpu: Cluster
):
    home.ray = one_cpu.ray
    with node(one_cpu) as second:
        process = home.start("run", home.write(SWEEP), "-o", "json")
        wait_for_line(process, "epoch 1/4")
        second.raylet().kill()
        out, err = process.communicate()
    assert process.returncode == 0, err
    (trial,) = json.loads(out)["trials"]
    assert (trial["status"], trial["epochs"]) == ("completed", 4)
    (run,) = home.runs().values()
    assert home.epochs(run) == [float(epoch) for epoch in range(1, 5)]
    (spool,) = (home.path / "results/e2e/trials").glob("t0000-*/metrics.jsonl")
    points = [json.loads(line.partition(" ")[2]) for line in spool.read_text().splitlines()]
    # Two workers to begin with, one in the end; 480 images in batches of 16, whoever trains them.
    assert (points[0]["num_workers"], points[-1]["num_workers"]) == (2, 1)
    assert [point["step"] for point in points] == [30 * epoch for epoch in range(1, 5)]
    assert_given_back(one_cpu)


def test_a_group_has_the_largest_of_its_numbers_there_is_room_for_and_grows(
    one_cpu: Cluster, tmp_path
):
    (tmp_path / "counting.py").write_text(COUNTING)
    log = tmp_path / "log"

    def wait_for(*counts: int) -> None:
        while not log.exists() or log.read_text().split() != [str(count) for count in counts]:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)

    with node(one_cpu), node(one_cpu):
        process = subprocess.Popen(
            [sys.executable, "counting.py", str(tmp_path)], cwd=tmp_path, text=True,
            env={**one_cpu.environment, "PYTHONPATH": os.pathsep.join([str(REPOSITORY)])},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        wait_for(2)  # of three CPUs, since 3 is none of the numbers
        with node(one_cpu):
            wait_for(2, 4)
        (tmp_path / "stop").touch()
        process.communicate()
