"""Of the Ray that a sweep would run on: whether it answers, to whom, and what fits into it."""

import json
import os
import platform
import urllib.error
import urllib.request
from importlib.metadata import version
from typing import Any

from resnet_core.credentials import without_credentials
from sweeps.doctor.finding import Finding, ok, problem, warning
from sweeps.ray_access import (
    ADVICE,
    Access,
    access_without_token,
    is_loopback,
    is_readable_by_others,
    token_file,
)
from sweeps.sections import ResourcesConfig

_TIMEOUT_SECONDS = 5.0
_TOKEN_FIX = "export RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH as the file with its token (0600)"


def is_private() -> bool:
    """Whether a sweep would start a Ray of its own."""
    return not os.environ.get("RAY_ADDRESS")


def check_ray(resources: ResourcesConfig, num_gpus: int) -> list[Finding]:
    """Look at the cluster of ``$RAY_ADDRESS``; without one, at what a private Ray would have.

    Args:
        resources: What a trial asks for.
        num_gpus: On this machine.
    """
    address = os.environ.get("RAY_ADDRESS")
    if address:
        return _check_cluster(address, resources)
    from ray._private.utils import get_num_cpus

    here = {"CPU": float(get_num_cpus()), "GPU": float(num_gpus)}
    return [
        ok("ray", "RAY_ADDRESS is not set: each sweep starts a private Ray, and ends it"),
        ok("token", "the private Ray has one of its own, and listens on 127.0.0.1 only"),
        _check_room([here], resources),
    ]


def _check_cluster(address: str, resources: ResourcesConfig) -> list[Finding]:
    from ray._private.services import canonicalize_bootstrap_address_or_die

    shown = without_credentials(address)
    try:
        head = canonicalize_bootstrap_address_or_die(address)
    except (ConnectionError, ValueError, OSError) as error:
        reason = next(iter(without_credentials(str(error)).splitlines()), "")
        return [_no_ray(f"RAY_ADDRESS={shown} leads to no cluster: {reason}")]
    access = access_without_token(head)
    if access is Access.UNKNOWN and not os.environ.get("RAY_USE_TLS"):
        return [_no_ray(f"nothing that speaks Ray answers at RAY_ADDRESS={shown} ({head})")]
    from ray.exceptions import AuthenticationError

    try:
        nodes, finding = _ask(head)
    except AuthenticationError:
        return [
            problem(
                "ray",
                f"{head} asks for a token, and this process has none that it takes",
                _TOKEN_FIX,
            )
        ]
    except Exception as error:  # noqa: BLE001  Ray has a dozen types for it, and the line says which
        reason = next(iter(without_credentials(str(error)).splitlines()), "")
        return [_no_ray(f"{head} answers, but not as it should: {type(error).__name__}: {reason}")]
    found = [finding, _check_token(head, access)]
    return found if nodes is None else [*found, _check_room(nodes, resources)]


def _no_ray(message: str) -> Finding:
    return problem(
        "ray",
        message,
        "start the cluster (ray start --head), put its head's host:port into RAY_ADDRESS, or unset "
        "that to run on this machine alone",
    )


def _ask(head: str) -> tuple[list[dict[str, float]] | None, Finding]:
    """The resources of each node that is up, as the State API tells them, and what to say of it.

    None if that does not answer.
    """
    from ray._private.ray_constants import DASHBOARD_ADDRESS, KV_NAMESPACE_DASHBOARD
    from ray._raylet import GcsClient  # pyright: ignore[reportAttributeAccessIssue]

    client: Any = GcsClient(address=head)
    metadata = _key_of(client, b"CLUSTER_METADATA", b"cluster")
    cluster = json.loads(metadata) if metadata else {}
    ours = {"ray_version": version("ray"), "python_version": platform.python_version()}
    for key, here in ours.items():
        there = cluster.get(key, here)
        if there != here:
            name = key.partition("_")[0].capitalize()
            return None, problem(
                "ray",
                f"the cluster has {name} {there}, this process {here}",
                "use one image, or one requirements.lock and one Python, on every node and here",
            )
    dashboard = _key_of(client, DASHBOARD_ADDRESS.encode(), KV_NAMESPACE_DASHBOARD)
    try:
        nodes = _nodes(dashboard.decode()) if dashboard else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        return None, _no_state_api(head, f"at {dashboard and dashboard.decode()}: {reason}")
    if nodes is None:
        return None, _no_state_api(head, "is switched off there")
    count = f"{len(nodes)} node{'s' if len(nodes) != 1 else ''}"
    return nodes, ok("ray", f"{head} answers, and its State API: {count}, Ray {version('ray')}")


def _key_of(client: Any, key: bytes, namespace: bytes) -> bytes | None:
    return client.internal_kv_get(key, namespace, timeout=_TIMEOUT_SECONDS)


def _nodes(dashboard: str) -> list[dict[str, float]]:
    from ray._private.authentication.http_token_authentication import (
        get_auth_headers_if_auth_enabled,
    )

    url = f"http://{dashboard}/api/v0/nodes?detail=0&timeout={_TIMEOUT_SECONDS:.0f}"
    request = urllib.request.Request(url, headers=get_auth_headers_if_auth_enabled({}))
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=_TIMEOUT_SECONDS) as answer:
        data = json.load(answer)
    rows = data["data"]["result"]["result"]
    return [row["resources_total"] for row in rows if row["state"] == "ALIVE"]


def _no_state_api(head: str, why: str) -> Finding:
    return warning(
        "ray",
        f"{head} answers, but its State API {why}",
        "start the head with --include-dashboard true, and --dashboard-host if the dashboard is "
        "to be reached from other nodes; sweeps run without it",
    )


def _check_token(head: str, access: Access) -> Finding:
    if access is Access.OPEN:
        told = f"{head} asks for none: whoever reaches it can run code there"
        return (warning if is_loopback(head) else problem)("token", told, ADVICE)
    if access is Access.UNKNOWN:
        return ok("token", f"{head} speaks TLS, for those with a key")
    file = token_file()
    if file is None:
        return ok("token", f"{head} asks for one; it is in RAY_AUTH_TOKEN")
    if is_readable_by_others(file):
        return warning("token", f"{file} may be read by other users", f"chmod 600 {file}")
    return ok("token", f"{head} asks for one; it is in {file}")


def _check_room(nodes: list[dict[str, float]], resources: ResourcesConfig) -> Finding:
    from sweeps.cluster import Refused, fit_into

    try:
        trials = fit_into(nodes, resources)
    except Refused as error:
        return problem("resources", *str(error).rsplit("; ", 1))
    asked = resources.max_concurrent_trials
    plural = "s" if trials != 1 else ""
    told = f"{trials} trial{plural} at a time"
    if asked == "auto" or asked <= trials:
        return ok("resources", told)
    return warning(
        "resources", f"{told}, {asked} asked for: more do not fit", "change resources, or add nodes"
    )
