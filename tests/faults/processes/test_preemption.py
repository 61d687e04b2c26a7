"""Nodes that are taken away with a notice: no step is trained twice."""

import signal
from random import Random

import pytest

from tests.e2e.conftest import Cluster, Home
from tests.faults.oracles import assert_nothing_left_in, assert_undisturbed
from tests.faults.processes.conftest import (
    RATES,
    SPACE,
    StepTrace,
    assert_given_back,
    node,
    seconds_to_recover,
)
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]


def test_trials_on_a_drained_node_go_on_elsewhere_after_the_very_step_they_were_in(
    home: Home, one_cpu_cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = one_cpu_cluster.ray
    file = home.write(SPACE + "resources: {max_concurrent_trials: 2}\n")
    with faults.trial("SIGTERM to a worker's node") as outcome, node(one_cpu_cluster) as second:
        process = home.start("run", file)
        number = moments.randrange(31, 89)
        seen = [steps.wait_for(process, rate=rate, number=number) for rate in RATES]
        (struck,) = [step for step in seen if second.has(step.pid)]
        second.start.send_signal(signal.SIGTERM)
        outcome.seconds = seconds_to_recover(home, steps, struck, process)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, out + err
        pids = {s.pid for s in steps.read() if s.learning_rate == struck.learning_rate}
        assert len(pids) == 2
        outcome.steps_repeated = steps.repeated()
        assert outcome.steps_repeated == 0
        outcome.points_lost = assert_undisturbed(home)
        assert_nothing_left_in(home)
        assert_given_back(one_cpu_cluster)
