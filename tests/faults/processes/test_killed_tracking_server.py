"""kill -9 of the tracking server: trials train on, and every point arrives when it is back."""

import json
from random import Random

import pytest

from tests.e2e.conftest import Cluster, Home, free_port, tracking_server
from tests.e2e.nodes import assert_given_back
from tests.faults.oracles import assert_nothing_left_in, assert_undisturbed
from tests.faults.processes.conftest import RATES, SPACE, StepTrace, ended
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]


def test_every_point_arrives_once_though_the_server_was_killed_while_trials_trained(
    home: Home, cluster: Cluster, steps: StepTrace, faults: Table, moments: Random
):
    home.ray = cluster.ray
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    file = home.write(
        f"{SPACE}tracking: {{uri: '{url}', register_winner: false, figures: false}}\n"
    )
    with faults.trial("kill -9: tracking server") as outcome:
        at = moments.randrange(31, 90)
        with steps.held(at, RATES[0]), tracking_server(home, port):
            process = home.start("run", file, "-o", "json")
            steps.wait_for(process, rate=RATES[0], number=at)
            while not home.client.search_experiments(filter_string="name = 'e2e'"):
                assert process.poll() is None
        # Killed, and nothing answers at its address: the sweep goes on to its end.
        trials = json.loads(ended(process))["trials"]
        assert [trial["status"] for trial in trials] == ["completed"] * 2
        out, _ = home.run("status", "e2e", "-o", "json")
        assert json.loads(out)["tracking"]["points_behind"] > 0
        with tracking_server(home, port):
            home.run("run", file)
        out, _ = home.run("status", "e2e", "-o", "json")
        behind = json.loads(out)["tracking"]
        assert (behind["points"], behind["points_behind"]) == (8, 0)
        outcome.steps_repeated = steps.repeated()
        assert outcome.steps_repeated == 0
        outcome.points_lost = assert_undisturbed(home)
        assert_nothing_left_in(home)
        assert_given_back(cluster)
