"""Two drivers at once on one sweep: one goes on, the other one says so, nothing happens twice.

Before they go on, the newest checkpoint is damaged: the one before it is used.
"""

import time
from random import Random
from subprocess import Popen

import pytest

from tests.e2e.conftest import TIMEOUT_SECONDS, Cluster, Home
from tests.faults.damage import flip_a_bit
from tests.faults.oracles import trial_folder
from tests.faults.processes.conftest import (
    EVERY_EPOCH,
    RATES,
    SPACE,
    STEPS_PER_EPOCH,
    StepTrace,
    check,
    kill,
)
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
    file = home.write(SPACE + EVERY_EPOCH)
    with faults.trial("two drivers start one sweep") as outcome:
        driver = the_one_that_goes_on([home.start("run", file) for _ in range(2)])
        at = moments.randrange(35, 119)
        with steps.held(at, RATES[0]):
            steps.wait_for(driver, rate=RATES[0], number=at)
            assert steps.repeated() == 0  # nobody trains it a second time
            kill(driver.pid)
        driver.communicate()
        outcome.steps_repeated = 0
    newest = max((trial_folder(home, "t0000") / "checkpoints").glob("ep*"))
    flip_a_bit(newest, moments)
    with (
        faults.trial("two drivers resume one sweep") as outcome,
        faults.trial("newest checkpoint damaged before a resume") as damaged,
    ):
        driver = the_one_that_goes_on([home.start("resume", "e2e") for _ in range(2)])
        _, err = driver.communicate(timeout=TIMEOUT_SECONDS)
        assert driver.returncode == 0, err
        assert f"t0000: checkpoint {newest.name} is damaged and was set aside as" in err
        check(outcome, home, cluster, steps, most_repeated=2 * STEPS_PER_EPOCH)
        damaged.steps_repeated = outcome.steps_repeated
