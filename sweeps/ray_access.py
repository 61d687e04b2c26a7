"""Who may use a Ray cluster: whether it answers without a token, and who can reach it.

Whoever may talk to a Ray cluster may run code in it. Imports no Ray.
"""

import ipaddress
import os
from enum import Enum, auto
from pathlib import Path

_TIMEOUT_SECONDS = 5.0
_OTHERS = 0o077
ADVICE = (
    "start the cluster with RAY_AUTH_MODE=token and give the same token to every node and client "
    "(SECURITY.md says how)"
)


class Access(Enum):
    """What a cluster's head says to one who brings no token."""

    OPEN = auto()
    TOKEN = auto()
    UNKNOWN = auto()  # nothing answers, or it speaks TLS, which Ray lets nobody in without a key


def access_without_token(gcs_address: str) -> Access:
    """Ask a head whether it is alive, as somebody would who has no token.

    Args:
        gcs_address: ``host:port`` of the head.
    """
    import grpc

    with grpc.insecure_channel(gcs_address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        ask = channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")
        try:
            ask(b"", timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            code = error.code() if isinstance(error, grpc.Call) else None
            return Access.TOKEN if code is grpc.StatusCode.UNAUTHENTICATED else Access.UNKNOWN
    return Access.OPEN


def is_loopback(host: str) -> bool:
    """Whether a name or an address, perhaps with a port, never leaves this machine."""
    name = host.rsplit(":", 1)[0] if host.count(":") == 1 or "]:" in host else host
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def warning_of(gcs_address: str) -> str | None:
    """What is to be said before a sweep is given to this cluster; None if nothing.

    Args:
        gcs_address: ``host:port`` of the head.
    """
    if is_loopback(gcs_address) or access_without_token(gcs_address) is not Access.OPEN:
        return None
    return (
        f"the Ray cluster at {gcs_address} asks for no token: whoever reaches it can run code on "
        f"it and read this sweep; {ADVICE}"
    )


def token_file() -> Path | None:
    """The file that Ray reads the token from; None if it is in the environment, or there is none.

    Ray's own order: ``$RAY_AUTH_TOKEN``, the file ``$RAY_AUTH_TOKEN_PATH``, ``~/.ray/auth_token``.
    """
    if os.environ.get("RAY_AUTH_TOKEN"):
        return None
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(path) if path else Path.home() / ".ray" / "auth_token"
    return file if file.is_file() else None


def is_readable_by_others(file: Path) -> bool:
    """Whether anyone but its owner may read or write the file."""
    return bool(file.stat().st_mode & _OTHERS)
