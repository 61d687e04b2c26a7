"""The Ray that a sweep runs on: one that is there already, or a private one that leaves nothing."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import ray
from ray.exceptions import RayError

from resnet_core.credentials import is_name_of_secret
from sweeps.private_ray import end_stale_ones, private_ray
from sweeps.ray_access import warning_of
from sweeps.sections import ResourcesConfig

_LOG = logging.getLogger(__name__)
_RAY_ENVIRONMENT = {
    # Train's controller looks after its workers this often; 2 s by default.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # `preemption.py` does that, for gangs of one as well; a process less per gang.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # Workers and trainables stay in the folder the driver was started in.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
_TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no csv, json, TensorBoard files: `spool.py`
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # `_Interrupts` wakes the trainables first
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's snapshot is not used
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


_ANSWER_SECONDS = 10.0
_DUST = 1e-9  # 33 / 1.1 is 29.999999999999996


class Refused(RuntimeError):
    """The sweep cannot run here; says what is missing."""


@contextmanager
def connected() -> Iterator[None]:
    """Connect to ``$RAY_ADDRESS``, or run a private Ray that leaves nothing behind."""
    os.environ.update(_TUNE_ENVIRONMENT)
    end_stale_ones()
    _keep_secrets_out_of_records()
    level = logging.INFO if logging.getLogger().isEnabledFor(logging.INFO) else logging.ERROR
    for name in ("ray", "ray.tune"):
        logging.getLogger(name).setLevel(level)
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _look_whether_it_answers(address)
        # Ray's job submission does not pass the address on; without it Train's helpers of the
        # workers may find another Ray instance of the host.
        env_vars = {**_RAY_ENVIRONMENT, "RAY_ADDRESS": address}
        try:
            ray.init(
                address=address,
                runtime_env={"env_vars": env_vars},
                log_to_driver=False,
                logging_level=level,
            )
        except (OSError, RuntimeError, ValueError, RayError) as error:
            told = next(iter(str(error).splitlines()), type(error).__name__)
            raise Refused(f"no Ray lets us in at RAY_ADDRESS={address}: {told}") from error
        try:
            if warning := warning_of(ray.get_runtime_context().gcs_address):
                _LOG.warning(warning)
            yield
        finally:
            ray.shutdown()
        return
    os.environ.update(_RAY_ENVIRONMENT)
    with private_ray(level):
        yield


def _look_whether_it_answers(address: str) -> None:
    """Ray tries for minutes, and complains in its own way.

    Raises:
        Refused: If nobody listens at a ``host:port``.
    """
    host, _, port = address.rpartition(":")
    if "://" in address or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except OSError as error:
        raise Refused(f"no Ray answers at RAY_ADDRESS={address}: {error}") from error


def _keep_secrets_out_of_records() -> None:
    """Tune hands AWS's keys on as a part of each actor's description, which Ray keeps and shows.

    Workers of a private Ray have the driver's environment anyway; those of a cluster have what the
    cluster was started with.
    """
    from ray.tune.execution import class_cache

    names = class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.ENV_VARS_TO_PROPAGATE = {one for one in names if not is_name_of_secret(one)}


def fitting_trials(resources: ResourcesConfig, counts: tuple[int, ...] | None = None) -> int:
    """How many trials run at a time: as many as asked for, or as fit into the cluster now.

    Args:
        resources: Of each trial.
        counts: The numbers of workers that a trial can be trained with, ascending
            (`sweeps.elastic`); None: what ``resources`` say.

    Raises:
        Refused: If not even one fits; names what is missing.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return fit_into(nodes, resources, counts)


def fit_into(
    nodes: list[dict[str, float]],
    resources: ResourcesConfig,
    counts: tuple[int, ...] | None = None,
) -> int:
    """`fitting_trials` of nodes with these resources each.

    Raises:
        Refused: Likewise.
    """
    # A worker lives on one node, so what counts is how many fit into each.
    there = sum(_workers_on(node, resources) for node in nodes)
    counts = counts or (resources.min_workers, resources.max_workers)
    fitting = there // counts[-1]
    if fitting == 0 and there >= counts[0]:
        fitting = 1  # with fewer workers than it could have
    if fitting == 0:
        raise Refused(_missing(nodes, there, resources, counts[0]))
    if resources.max_concurrent_trials == "auto":
        return fitting
    return min(resources.max_concurrent_trials, fitting)


def placement_of(resources: ResourcesConfig) -> Literal["PACK", "STRICT_PACK"]:
    """How the workers of a trial lie on the cluster as it is now; see `placement_on`."""
    return placement_on([node["Resources"] for node in ray.nodes() if node["Alive"]], resources)


def placement_on(
    nodes: list[dict[str, float]], resources: ResourcesConfig
) -> Literal["PACK", "STRICT_PACK"]:
    """Keep a trial's workers on one node where that costs no trial its place.

    Gradients then stay within the node. Where fewer trials would run at a time, workers may lie on
    several nodes, on as few as there is room on.

    Args:
        nodes: Resources of each, as Ray counts them.
        resources: Of each trial.
    """
    if resources.is_elastic:
        return "PACK"
    counts = [_workers_on(node, resources) for node in nodes]
    whole = sum(count // resources.max_workers for count in counts)
    return "STRICT_PACK" if whole == sum(counts) // resources.max_workers else "PACK"


def _workers_on(node: dict[str, float], resources: ResourcesConfig) -> int:
    counts = []
    for name, amount in resources.per_worker.items():
        there = node.get(name, 0.0)
        # Ray never splits a share over two GPUs: of 0.6 one fits on each.
        per_unit = int(1 / amount) if name == "GPU" and amount < 1 else 0
        counts.append(int(there) * per_unit if per_unit else int(there / amount + _DUST))
    return min(counts)


def _missing(
    nodes: list[dict[str, float]], there: int, resources: ResourcesConfig, workers: int
) -> str:
    asked = " and ".join(f"{amount:g} {name}" for name, amount in resources.per_worker.items())
    has = "; ".join(
        ", ".join(f"{node.get(name, 0.0):g} {name}" for name in resources.per_worker)
        for node in nodes
    )
    return (
        f"a trial needs {workers} worker{'s' if workers > 1 else ''} of {asked} each, this Ray "
        f"cluster has room for {there} (its nodes: {has}); change resources, or set RAY_ADDRESS to "
        "a larger cluster"
    )
