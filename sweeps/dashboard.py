"""MLflow's own dashboard, served on 127.0.0.1 for one person."""

import contextlib
import os
import signal
import subprocess
import sys

from resnet_core.credentials import without_credentials, without_user
from sweeps.storage import SweepNotFound
from sweeps.tracking.connect import QUIET
from sweeps.tracking.links import sweep_links
from sweeps.tracking.store import tracking_uri


def serve_dashboard(uri: str | None, port: int, sweep: str | None = None) -> int:
    """Print where each sweep is seen, and run `mlflow server` on 127.0.0.1 until Ctrl-C.

    A tracking server has a dashboard of its own: then the links lead there, and nothing is served.

    Args:
        uri: Of the tracking store; None is `tracking_uri`'s choice.
        port: To listen on.
        sweep: Name of the only sweep whose link is wanted; None: all of them.

    Returns:
        The server's exit status; 0 after Ctrl-C or SIGTERM.

    Raises:
        ValueError: If the tracking store is neither a SQLite database nor a server.
        SweepNotFound: If the store knows no sweep of this name.
        OSError: If it cannot be read.
    """
    store = tracking_uri(uri)
    is_server = store.startswith(("http://", "https://"))
    if not is_server and not store.startswith("sqlite:"):
        raise ValueError(
            f"tracking is at {without_credentials(store)}, which is neither sqlite:/// nor http(s)://"
        )
    host = f"127.0.0.1:{port}"
    server = without_user(store).rstrip("/") if is_server else f"http://{host}"
    links = sweep_links(store, server)
    chosen = [link for link in links if sweep in (None, link.name)]
    if sweep is not None and not chosen:
        known = ", ".join(dict.fromkeys(link.name for link in links)) or "none"
        where = without_credentials(store)
        raise SweepNotFound(f"no sweep {sweep!r} at {where}; there: {known}")
    for link in chosen:
        print(f"{link.name}: {link.address}", flush=True)
    if is_server:
        return 0
    return _serve(store, port, host)


def _serve(store: str, port: int, host: str) -> int:
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # Exactly this host: a page elsewhere must not reach the server through a name of its own.
    command += ["--allowed-hosts", f"{host},localhost:{port}"]
    command += ["--cors-allowed-origins", f"http://{host},http://localhost:{port}"]
    environment = {
        **os.environ,
        **QUIET,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",  # it looks at the two lists above
    }
    print(f"dashboard: http://{host}/#/experiments (Ctrl-C ends it)", file=sys.stderr)
    # A session of its own: the server has children, and they must end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()
