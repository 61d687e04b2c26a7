"""A population whose driver ends on its way: what was taken over is taken over once."""

import signal
from pathlib import Path

import pytest

from tests.e2e import test_population as population
from tests.e2e.conftest import Cluster, Home, wait_for_line
from tests.faults.oracles import assert_nothing_left_in
from tests.faults.processes.conftest import StepTrace, assert_given_back
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

one_thread = population.one_thread
FAULTS = {signal.SIGKILL: "kill -9: driver of a population", signal.SIGINT: "SIGINT to the same"}


@pytest.mark.parametrize("number", FAULTS, ids=["killed", "interrupted"])
def test_a_population_whose_driver_ends_goes_on_to_the_same_end(
    home: Home, tmp_path: Path, cluster: Cluster, steps: StepTrace, faults: Table, number: int
):
    home.ray = cluster.ray
    with faults.trial(FAULTS[signal.Signals(number)]) as outcome:
        process = home.start("run", home.write(population.SWEEP))
        wait_for_line(process, "epoch 2/4")
        process.send_signal(number)
        process.communicate()
        home.run("resume", "e2e")
        outcome.steps_repeated = steps.repeated()
        histories, same_weights = population.trained_again(home, tmp_path / "again")
        folders = population.trial_folders(home)
        assert histories == [population.history_of(folder) for folder in folders]
        assert same_weights == {True}
        assert [home.epochs(run) for run in home.runs().values()] == [[1, 2, 3, 4]] * 4
        assert_nothing_left_in(home)
        assert_given_back(cluster)
