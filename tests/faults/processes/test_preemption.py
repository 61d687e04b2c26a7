"""SIGTERM to nodes and drivers, which leaves time for a checkpoint: no step is trained twice."""

import signal
import time
from random import Random

import pytest

from tests.e2e.conftest import RECIPE, TIMEOUT_SECONDS, Cluster, Home
from tests.e2e.nodes import assert_given_back, node
from tests.faults.oracles import assert_nothing_left_in, assert_undisturbed, finished_files
from tests.faults.processes.conftest import (
    ONE_TRIAL,
    RATES,
    SPACE,
    StepTrace,
    ended,
    epochs_in,
    seconds_to_recover,
    wait_until,
)
from tests.faults.table import Outcome, Table

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

# A driver looks once a second which nodes go: nothing must be over by then.
LONG = RECIPE.replace("T_max: 3ep", "T_max: 11ep").replace(
    "max_duration: 4ep", "max_duration: 12ep"
)


def check(
    outcome: Outcome, home: Home, cluster: Cluster, steps: StepTrace, *, num_workers: int = 1
) -> None:
    outcome.steps_repeated = steps.repeated()
    assert outcome.steps_repeated == 0
    outcome.points_lost = assert_undisturbed(home, num_workers=num_workers)
    assert_nothing_left_in(home)
    assert_given_back(cluster)


def test_trials_on_a_drained_node_go_on_elsewhere_after_the_very_step_they_were_in(
    home: Home, one_cpu_cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = one_cpu_cluster.ray
    file = home.write(SPACE + "resources: {max_concurrent_trials: 2}\n", LONG)
    with faults.trial("SIGTERM to a worker's node") as outcome, node(one_cpu_cluster) as second:
        process = home.start("run", file)
        number = moments.randrange(31, 150)
        seen = [steps.wait_for(process, rate=rate, number=number) for rate in RATES]
        (struck,) = [step for step in seen if second.has(step.pid)]
        second.start.send_signal(signal.SIGTERM)
        outcome.seconds = seconds_to_recover(home, steps, struck, process)
        ended(process)
        pids = {s.pid for s in steps.read() if s.learning_rate == struck.learning_rate}
        assert len(pids) == 2
        check(outcome, home, one_cpu_cluster, steps)


def test_workers_on_two_nodes_leave_after_the_same_step_when_one_of_these_is_drained(
    home: Home, one_cpu_cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = one_cpu_cluster.ray
    file = home.write(ONE_TRIAL + "resources: {workers_per_trial: 2, cpus_per_worker: 1}\n", LONG)
    with (
        faults.trial("SIGTERM to the node of one of two workers") as outcome,
        node(one_cpu_cluster) as first,
        node(one_cpu_cluster) as second,
    ):
        process = home.start("run", file)
        at = moments.randrange(31, 150)
        seen = [steps.wait_for(process, rate=RATES[0], number=at, rank=rank) for rank in (0, 1)]
        # They are on two of three nodes, and the head stays.
        struck, going = next((s, n) for s in seen for n in (first, second) if n.has(s.pid))
        going.start.send_signal(signal.SIGTERM)
        outcome.seconds = seconds_to_recover(home, steps, struck, process)
        ended(process)
        check(outcome, home, one_cpu_cluster, steps, num_workers=2)


def test_a_driver_that_gets_sigterm_closes_its_runs_and_a_resume_repeats_no_step(
    home: Home, cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = cluster.ray
    with faults.trial("SIGTERM to the driver") as outcome:
        process = home.start("run", home.write(SPACE, LONG))
        steps.wait_for(process, rate=RATES[1], number=moments.randrange(31, 150))
        finished = finished_files(home)
        assert finished
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == 130, out + err
        assert "interrupted; go on with: python -m sweeps resume e2e" in err
        assert {trial: run.info.status for trial, run in home.runs().items()} == {
            "t0000": "FINISHED", "t0001": "KILLED",
        }  # fmt: skip
        assert_given_back(cluster)
        started, known = time.monotonic(), epochs_in(home, "t0001")
        process = home.start("resume", "e2e")
        wait_until(lambda: epochs_in(home, "t0001") > known or None, process)
        outcome.seconds = time.monotonic() - started
        ended(process)
        assert {file: file.read_bytes() for file in finished} == finished
        check(outcome, home, cluster, steps)
