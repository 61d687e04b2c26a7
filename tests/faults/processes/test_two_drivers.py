"""Two drivers at once on one sweep: one goes on, the other one says so, nothing happens twice."""

import time
from random import Random
from subprocess import Popen

import pytest

from tests.e2e.conftest import TIMEOUT_SECONDS, Cluster, Home
from tests.e2e.nodes import assert_given_back
from tests.faults.oracles import assert_nothing_left_in, assert_undisturbed
from tests.faults.processes.conftest import RATES, SPACE, StepTrace, ended, kill
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]


def the_one_that_goes_on(both: list[Popen[str]]) -> Popen[str]:
    """Wait for one of the drivers to be refused; the other one."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while all(process.poll() is None for process in both):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (refused,) = [process for process in both if process.poll() is not None]
    (other,) = [process for process in both if process is not refused]
    _, err = refused.communicate()
    assert (refused.returncode, "another driver is running 'e2e'" in err) == (3, True), err
    return other


@pytest.mark.faults_in_ci
def test_of_two_drivers_started_at_once_exactly_one_goes_on_and_its_kill_leaves_no_lock(
    home: Home, cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = cluster.ray
    file = home.write(SPACE)
    with faults.trial("two drivers start one sweep") as outcome:
        driver = the_one_that_goes_on([home.start("run", file) for _ in range(2)])
        steps.wait_for(driver, rate=RATES[0], number=moments.randrange(1, 119))
        assert steps.repeated() == 0  # nobody trains it a second time
        kill(driver.pid)
        driver.communicate()
        outcome.steps_repeated = 0
    with faults.trial("two drivers resume one sweep") as outcome:
        driver = the_one_that_goes_on([home.start("resume", "e2e") for _ in range(2)])
        ended(driver)
        outcome.steps_repeated = steps.repeated()
        outcome.points_lost = assert_undisturbed(home)
        assert_nothing_left_in(home)
        assert_given_back(cluster)
