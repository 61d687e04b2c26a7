"""``sweeps doctor`` and what a driver says, against clusters with and without a token."""

import json

import pytest

from sweeps.ray_access import Access, access_without_token
from tests.e2e.conftest import Cluster, Home, ray_head

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

SWEEP = "space: {seed: {int: [1, 99]}}\nsearch: {algorithm: random, trials: 2}\n"
TOO_MUCH = ("--set", "resources.cpus_per_worker=3")


def states(home: Home, *arguments: str, status: int = 0) -> dict[str, str]:
    """Check -> ok, warning or problem."""
    out, _ = home.run("doctor", home.write(SWEEP), "-o", "json", *arguments, status=status)
    return {one["check"]: one["state"] for one in json.loads(out)["checks"]}


def test_a_cluster_with_a_token_is_sound_and_shut_to_those_without(home: Home, cluster: Cluster):
    home.ray = cluster.ray
    found = states(home)
    assert {found[name] for name in ("versions", "ray", "token", "resources", "storage")} == {"ok"}
    assert found["tracking"] == "ok"
    assert sorted(path.name for path in home.path.iterdir()) == ["recipe.yaml", "sweep.yaml"]

    out, err = home.run("doctor", home.write(SWEEP), *TOO_MUCH, status=3)
    assert "\n                       fix: change resources, or set RAY_ADDRESS" in out
    assert err == "to put right before a sweep: resources\n"

    assert access_without_token(cluster.ray["RAY_ADDRESS"]) is Access.TOKEN
    home.ray = {"RAY_ADDRESS": cluster.ray["RAY_ADDRESS"], "RAY_AUTH_MODE": "disabled"}
    out, _ = home.run("doctor", status=3)
    assert "asks for a token, and this process has none that it takes" in out


def test_a_cluster_that_asks_for_no_token_is_a_problem_and_a_driver_warns_once(home: Home):
    with ray_head(num_cpus=1, asks_for_token=False) as cluster:
        home.ray = cluster.ray
        assert states(home, status=3)["token"] == "problem"
        _, err = home.run("run", home.write(SWEEP), *TOO_MUCH, status=3)
    (line,) = [line for line in err.splitlines() if "token" in line]
    assert "asks for no token: whoever reaches it can run code on it" in line
