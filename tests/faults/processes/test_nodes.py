"""Nodes that go: killed, or with SIGTERM, which leaves time for a checkpoint after the step."""

import signal
import time
from random import Random

import psutil
import pytest

from tests.e2e.conftest import RECIPE, TIMEOUT_SECONDS, Cluster, Home
from tests.e2e.nodes import node
from tests.faults.processes.conftest import (
    EVERY_EPOCH,
    ONE_TRIAL,
    RATES,
    SPACE,
    StepTrace,
    check,
    ended,
    kill,
    seconds_to_recover,
)
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

# A driver looks once a second which nodes go: nothing must be over by then.
STEP_SECONDS = 0.025
LONG = RECIPE.replace("T_max: 3ep", "T_max: 7ep").replace("max_duration: 4ep", "max_duration: 8ep")


def test_trials_on_a_node_whose_raylet_is_killed_go_on_elsewhere(
    home: Home, one_cpu_cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = one_cpu_cluster.ray
    sweep = SPACE + EVERY_EPOCH + "resources: {max_concurrent_trials: 2}\n"
    with faults.trial("kill -9: raylet of one of two nodes") as outcome:
        with node(one_cpu_cluster) as second:
            process = home.start("run", home.write(sweep))
            at = moments.randrange(31, 89)
            with steps.held(at, *RATES):
                seen = [steps.wait_for(process, rate=rate, number=at) for rate in RATES]
                (struck,) = [step for step in seen if second.has(step.pid)]
                killed_at = time.monotonic()
                kill(second.raylet().pid)
                # The worker misses its raylet seconds later, when its training might be over.
                psutil.Process(struck.pid).wait(TIMEOUT_SECONDS)
            seconds_to_recover(home, steps, struck, process)
            outcome.seconds = time.monotonic() - killed_at
            ended(process)
        check(outcome, home, one_cpu_cluster, steps)


def test_trials_on_a_drained_node_go_on_elsewhere_after_the_very_step_they_were_in(
    home: Home, one_cpu_cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = one_cpu_cluster.ray
    file = home.write(SPACE + "resources: {max_concurrent_trials: 2}\n", LONG)
    with (
        faults.trial("SIGTERM to a worker's node") as outcome,
        steps.paced(STEP_SECONDS),
        node(one_cpu_cluster) as second,
    ):
        process = home.start("run", file)
        number = moments.randrange(31, 120)
        with steps.held(number, *RATES):
            seen = [steps.wait_for(process, rate=rate, number=number) for rate in RATES]
            (struck,) = [step for step in seen if second.has(step.pid)]
        second.start.send_signal(signal.SIGTERM)
        outcome.seconds = seconds_to_recover(home, steps, struck, process)
        ended(process)
        pids = {s.pid for s in steps.read() if s.learning_rate == struck.learning_rate}
        assert len(pids) == 2
        check(outcome, home, one_cpu_cluster, steps, most_repeated=0)


@pytest.mark.beyond
def test_workers_on_two_nodes_leave_after_the_same_step_when_one_of_these_is_drained(
    home: Home, one_cpu_cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = one_cpu_cluster.ray
    file = home.write(ONE_TRIAL + "resources: {workers_per_trial: 2, cpus_per_worker: 1}\n", LONG)
    with (
        faults.trial("SIGTERM to the node of one of two workers") as outcome,
        steps.paced(STEP_SECONDS),
        node(one_cpu_cluster) as first,
        node(one_cpu_cluster) as second,
    ):
        process = home.start("run", file)
        at = moments.randrange(31, 120)
        with steps.held(at, RATES[0]):
            seen = [steps.wait_for(process, rate=RATES[0], number=at, rank=rank) for rank in (0, 1)]
        # They are on two of three nodes, and the head stays.
        struck, going = next((s, n) for s in seen for n in (first, second) if n.has(s.pid))
        going.start.send_signal(signal.SIGTERM)
        outcome.seconds = seconds_to_recover(home, steps, struck, process)
        ended(process)
        check(outcome, home, one_cpu_cluster, steps, most_repeated=0, num_workers=2)
