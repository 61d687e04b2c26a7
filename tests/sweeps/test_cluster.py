"""What fits into a cluster, of nodes as Ray describes them; no Ray is started."""

import socket

import pytest

from sweeps import cluster
from sweeps.cluster import Refused, connected, fitting_trials
from sweeps.sections import ResourcesConfig


@pytest.fixture
def fitting(monkeypatch):
    def fitting(nodes: list[dict[str, float]], **resources) -> int:
        found = [{"Alive": True, "Resources": {"memory": 1e9, **node}} for node in nodes]
        monkeypatch.setattr(cluster.ray, "nodes", lambda: found)
        options = {"max_concurrent_trials": "auto", **resources}
        return fitting_trials(ResourcesConfig.model_validate(options))

    return fitting


@pytest.mark.parametrize(
    ("share", "expected"), [(1, 2), (0.6, 2), (0.5, 4), (0.4, 4), (0.34, 4), (0.3, 6), (0.2, 10)]
)
def test_a_share_is_never_split_over_two_gpus(fitting, share, expected):
    # Of 0.4 two fit on each of two GPUs, although 2 / 0.4 = 5.
    assert fitting([{"CPU": 64, "GPU": 2}], gpus_per_worker=share) == expected


def test_the_scarcest_resource_decides(fitting):
    node = {"CPU": 6, "GPU": 4}
    assert fitting([node], gpus_per_worker=1, cpus_per_worker=2) == 3
    assert fitting([node], gpus_per_worker=2, cpus_per_worker=1) == 2


def test_a_worker_lives_on_one_node(fitting):
    # 3 CPUs each on two nodes: one worker of 2 on each, not three.
    assert fitting([{"CPU": 3}, {"CPU": 3}], cpus_per_worker=2) == 2


def test_the_workers_of_a_trial_may_lie_on_several_nodes(fitting):
    assert fitting([{"CPU": 3}, {"CPU": 3}], workers_per_trial=4) == 1


def test_so_many_trials_as_asked_for_and_no_more_than_fit_run_at_a_time(fitting):
    assert fitting([{"CPU": 8}], max_concurrent_trials=3) == 3
    assert fitting([{"CPU": 8}], max_concurrent_trials=30) == 8


def test_a_node_that_has_died_has_no_room(monkeypatch):
    nodes = [
        {"Alive": False, "Resources": {"CPU": 8}},
        {"Alive": True, "Resources": {"CPU": 2}},
    ]
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
    assert fitting_trials(ResourcesConfig(max_concurrent_trials="auto")) == 2


def test_what_is_missing_is_named(fitting):
    with pytest.raises(Refused) as caught:
        fitting([{"CPU": 2}, {"CPU": 4, "GPU": 1}], workers_per_trial=2, gpus_per_worker=1)
    assert str(caught.value) == (
        "a trial needs 2 workers of 1 CPU and 1 GPU each, this Ray cluster has room for 1 (its "
        "nodes: 2 CPU, 0 GPU; 4 CPU, 1 GPU); change resources, or set RAY_ADDRESS to a larger "
        "cluster"
    )


def test_an_address_at_which_nobody_listens_is_refused_before_ray_tries(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"  # bound, and nobody listens
        monkeypatch.setenv("RAY_ADDRESS", address)
        told = f"no Ray answers at RAY_ADDRESS={address}"
        with pytest.raises(Refused, match=told), connected():
            pass
