"""``sweeps doctor`` and what a driver says, against clusters with and without a token."""

import json

import pytest

from sweeps.ray_access import Access, access_without_token
from tests.e2e.conftest import Cluster, Home, ray_head

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

SWEEP = "space: {seed: {int: [1, 99]}}\nsearch: {algorithm: random, trials: 2}\n"
TOO_MUCH = ("--set", "resources.cpus_per_worker=3")


def states(out: str) -> dict[str, str]:
    """Check -> ok, warning or problem."""
    return {one["check"]: one["state"] for one in json.loads(out)["checks"]}


def test_a_cluster_with_a_token_is_sound_and_shut_to_those_without(home: Home, cluster: Cluster):
    home.ray = cluster.ray
    found = states(home.run("doctor", home.write(SWEEP), "-o", "json")[0])
    sound = ("versions", "ray", "token", "resources", "storage", "tracking")
    assert {name: found[name] for name in sound} == dict.fromkeys(sound, "ok")
    assert sorted(path.name for path in home.path.iterdir()) == ["recipe.yaml", "sweep.yaml"]

    assert access_without_token(cluster.ray["RAY_ADDRESS"]) is Access.TOKEN
    home.ray = {"RAY_ADDRESS": cluster.ray["RAY_ADDRESS"], "RAY_AUTH_MODE": "disabled"}
    out, err = home.run("doctor", status=3)
    told = "asks for a token, and this process has none that it takes"
    assert f"{told}\n                       fix: export RAY_AUTH_MODE=token" in out
    assert err.endswith("to put right before a sweep: ray\n")


def test_a_cluster_that_asks_for_no_token_is_a_problem_and_a_driver_warns_once(home: Home):
    with ray_head(num_cpus=1, asks_for_token=False) as cluster:
        home.ray = cluster.ray
        assert states(home.run("doctor", "-o", "json", status=3)[0])["token"] == "problem"
        _, err = home.run("run", home.write(SWEEP), *TOO_MUCH, status=3)
    (line,) = [line for line in err.splitlines() if "token" in line]
    assert "asks for no token: whoever reaches it can run code on it" in line
