"""MLflow's own dashboard, served on 127.0.0.1 for one person."""

import contextlib
import os
import signal
import subprocess
import sys

from sweeps.tracking.tracker import QUIET, tracking_uri


def serve_dashboard(uri: str | None, port: int) -> int:
    """Run `mlflow server` on 127.0.0.1 until Ctrl-C.

    Args:
        uri: Of the tracking database; None is `tracking_uri`'s choice.
        port: To listen on.

    Returns:
        The server's exit status; 0 after Ctrl-C or SIGTERM.

    Raises:
        ValueError: If the tracking store is itself a server: its dashboard is at its own address.
    """
    store = tracking_uri(uri)
    if not store.startswith("sqlite:"):
        raise ValueError(f"tracking is at {store}; open the dashboard there")
    host = f"127.0.0.1:{port}"
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
