"""Drivers that are killed or told to end: what is known is in the folder, and is gone on with."""

import signal
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import gettempdir

import psutil
import pytest

from tests.e2e import test_life as life
from tests.e2e.conftest import TIMEOUT_SECONDS, Cluster, Home
from tests.e2e.nodes import assert_given_back
from tests.faults.oracles import (
    assert_nothing_left_in,
    assert_same,
    finished_files,
    points_lost,
    sweep_folder,
    trainings_of,
)
from tests.faults.processes.conftest import (
    RATES,
    SPACE,
    StepTrace,
    check,
    ended,
    epochs_in,
    kill,
    wait_until,
)
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

NUM_KILLS = 3
SWEEP = (
    f"{life.SPACE}search: {{algorithm: tpe, trials: 6, seed: 5}}\n{life.STRETCH}"
    "storage: {keep_best: null}\n"
)


def epochs_of(home: Home) -> int:
    """How many epochs stand in all folders of the sweep."""
    files = sweep_folder(home).path.rglob("metrics.jsonl")
    return sum(file.read_bytes().count(b"\n") for file in files)


@pytest.mark.timeout(900)
def test_a_sweep_whose_driver_is_killed_again_and_again_ends_as_one_that_was_left_alone(
    home: Home,
    tmp_path_factory: pytest.TempPathFactory,
    cluster: Cluster,
    steps: StepTrace,
    faults: Table,
    moments: Random,
):
    undisturbed = Home(tmp_path_factory.mktemp("undisturbed"))
    undisturbed.ray = cluster.ray
    undisturbed.run("run", undisturbed.write(SWEEP))
    steps.forget()

    file = home.write(SWEEP)
    finished: dict[Path, bytes] = {}
    families: list[psutil.Process] = []
    repeated: list[int] = []
    with ExitStack() as stack:
        outcomes = [stack.enter_context(faults.trial("kill -9: driver")) for _ in range(NUM_KILLS)]
        for number in range(NUM_KILLS):
            # One of the drivers has a Ray of its own, which must die with it.
            home.ray = {} if number == 1 else cluster.ray
            process = home.start("run", file)
            known, started = epochs_of(home), time.monotonic()
            wait_until(lambda known=known: epochs_of(home) > known or None, process)
            if number > 0:
                outcomes[number - 1].seconds = time.monotonic() - started
            wanted = epochs_of(home) + moments.randrange(2)
            wait_until(lambda wanted=wanted: epochs_of(home) >= wanted or None, process)
            taken = len(steps.read()) + moments.randrange(30)
            wait_until(lambda taken=taken: len(steps.read()) >= taken or None, process)
            families += psutil.Process(process.pid).children(recursive=True)
            repeated.append(steps.repeated())
            kill(process.pid)
            process.communicate()
            finished = finished_files(home) | finished
        home.ray = cluster.ray
        started, known = time.monotonic(), epochs_of(home)
        process = home.start("run", file)
        wait_until(lambda: epochs_of(home) > known or None, process)
        outcomes[-1].seconds = time.monotonic() - started
        ended(process)

        repeated.append(steps.repeated())
        for outcome, before, after in zip(outcomes, repeated, repeated[1:], strict=False):
            outcome.steps_repeated = after - before
        found, expected = trainings_of(home), trainings_of(undisturbed)
        outcomes[-1].points_lost = sum(
            points_lost(found[trial], training) for trial, training in expected.items()
        )
        assert found.keys() == expected.keys()
        for trial, training in found.items():
            assert_same(training, expected[trial])
        assert life.outcome(home) == life.outcome(undisturbed)
        assert {path: path.read_bytes() for path in finished} == finished
        assert {run.info.status for run in home.runs().values()} == {"FINISHED"}
        assert psutil.wait_procs(families, timeout=90)[1] == []
        drivers = [process.pid for process in home.running]
        assert not [f for pid in drivers for f in Path(gettempdir()).glob(f"sweeps-{pid}-*")]
        assert_nothing_left_in(home)
        assert_given_back(cluster)


def test_a_driver_that_gets_sigterm_closes_its_runs_and_a_resume_repeats_no_step(
    home: Home, cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = cluster.ray
    # Or the training might be over before the driver has heard.
    with faults.trial("SIGTERM to the driver") as outcome, steps.paced(0.025):
        process = home.start("run", home.write(SPACE))
        steps.wait_for(process, rate=RATES[1], number=moments.randrange(31, 90))
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
        check(outcome, home, cluster, steps, most_repeated=0)
