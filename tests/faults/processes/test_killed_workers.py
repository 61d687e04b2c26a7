"""kill -9 of processes that train, at random moments; the driver lives and goes on."""

import json
import os
import signal
from pathlib import Path
from random import Random

import pytest

from tests.e2e.conftest import Cluster, Home
from tests.e2e.nodes import assert_given_back
from tests.faults.oracles import (
    assert_nothing_left_in,
    trial_folder,
)
from tests.faults.processes.conftest import (
    EVERY_EPOCH,
    ONE_TRIAL,
    RATES,
    SPACE,
    STEPS_PER_EPOCH,
    StepTrace,
    check,
    ended,
    kill,
    seconds_to_recover,
    trial_actors,
    wait_until,
)
from tests.faults.processes.trace.sitecustomize import DEADLY_SEED
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]


@pytest.mark.faults_in_ci
def test_a_worker_is_killed_in_the_middle_of_an_epoch(
    home: Home, cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = cluster.ray
    with faults.trial("kill -9: worker, mid-epoch") as outcome:
        process = home.start("run", home.write(SPACE + EVERY_EPOCH))
        at = moments.randrange(1, 4 * STEPS_PER_EPOCH - 20)
        with steps.held(at, RATES[1]):
            struck = steps.wait_for(process, rate=RATES[1], number=at)
        kill(struck.pid)
        outcome.seconds = seconds_to_recover(home, steps, struck, process)
        ended(process)
        check(outcome, home, cluster, steps)


def test_a_worker_is_killed_in_the_middle_of_writing_a_checkpoint(
    home: Home, cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = cluster.ray
    with faults.trial("kill -9: worker, mid-checkpoint") as outcome:
        process = home.start("run", home.write(SPACE + EVERY_EPOCH))
        struck = steps.wait_for(process, rate=RATES[0], number=moments.randrange(1, 60))
        checkpoints = trial_folder(home, "t0000") / "checkpoints"

        def caught() -> bool | None:
            if not half_written(checkpoints):
                return None
            os.kill(struck.pid, signal.SIGSTOP)
            if half_written(checkpoints):
                return True
            os.kill(struck.pid, signal.SIGCONT)  # it was done before the signal came
            return None

        wait_until(caught, process, seconds=0.0002)
        os.kill(struck.pid, signal.SIGKILL)
        outcome.seconds = seconds_to_recover(home, steps, struck, process)
        ended(process)
        check(outcome, home, cluster, steps)


def half_written(checkpoints: Path) -> list[Path]:
    return [path for path in checkpoints.glob(".ep*") if path.name[-1].isdecimal()]


def test_a_trial_of_two_workers_survives_the_death_of_its_actor_and_of_a_worker(
    home: Home, cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = cluster.ray
    file = home.write(
        f"{ONE_TRIAL}resources: {{workers_per_trial: 2, cpus_per_worker: 1}}\n{EVERY_EPOCH}"
    )
    dies = moments.randrange(2)
    with (
        faults.trial("kill -9: a trial's actor, of two workers") as actor_outcome,
        faults.trial("kill -9: either of two workers") as rank_outcome,
    ):
        process = home.start("run", file)
        at = moments.randrange(20, 50)
        with steps.held(at, RATES[0]):
            struck = steps.wait_for(process, rate=RATES[0], number=at)
            (actor,) = trial_actors(cluster)
        kill(actor)
        actor_outcome.seconds = seconds_to_recover(home, steps, struck, process)
        actor_outcome.steps_repeated = steps.repeated()
        assert actor_outcome.steps_repeated <= STEPS_PER_EPOCH
        at = moments.randrange(70, 110)
        with steps.held(at, RATES[0]):
            struck = steps.wait_for(process, rate=RATES[0], number=at, rank=dies)
        kill(struck.pid)
        rank_outcome.seconds = seconds_to_recover(home, steps, struck, process)
        ended(process)
        check(rank_outcome, home, cluster, steps, most_repeated=2 * STEPS_PER_EPOCH, num_workers=2)
        assert rank_outcome.steps_repeated is not None  # of both, before the reference was trained
        rank_outcome.steps_repeated -= actor_outcome.steps_repeated
        assert rank_outcome.steps_repeated <= STEPS_PER_EPOCH


def test_a_trial_that_kills_its_worker_each_time_is_given_up_and_the_others_finish(
    home: Home, cluster: Cluster, steps: StepTrace, faults: Table
):
    home.ray = cluster.ray
    file = home.write(
        f"space: {{seed: {{grid: [{DEADLY_SEED}, 1]}}}}\nsearch: {{algorithm: grid}}\n"
    )
    with faults.trial("a trial that kills its worker each time"):
        out, _ = home.run("run", file, "-o", "json")
        trials = json.loads(out)["trials"]
        assert [(trial["status"], trial["reason"]) for trial in trials] == [
            ("completed", None), ("failed", "worker"), ("completed", None),
        ]  # fmt: skip
        assert len([step for step in steps.read() if step.seed == DEADLY_SEED]) == 3
        assert_nothing_left_in(home)
        assert_given_back(cluster)
