"""A population whose driver is killed on its way: what was taken over is taken over once."""

from pathlib import Path

import pytest

from tests.e2e import test_population as population
from tests.e2e.conftest import Cluster, Home, wait_for_line
from tests.e2e.nodes import assert_given_back
from tests.faults.oracles import assert_nothing_left_in
from tests.faults.processes.conftest import StepTrace, kill
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

one_thread = population.one_thread


@pytest.mark.beyond
def test_a_population_whose_driver_is_killed_goes_on_to_the_same_end(
    home: Home, tmp_path: Path, cluster: Cluster, steps: StepTrace, faults: Table
):
    home.ray = cluster.ray
    with faults.trial("kill -9: driver of a population") as outcome:
        process = home.start("run", home.write(population.SWEEP))
        wait_for_line(process, "epoch 2/4")
        kill(process.pid)
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
