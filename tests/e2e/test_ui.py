"""The dashboard that ``sweeps ui`` serves: whom it answers, and that it ends with the command."""

import json
import signal
import subprocess
from http.client import HTTPConnection

import psutil
import pytest

from tests.e2e.conftest import Home, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

EXPERIMENTS = "/api/2.0/mlflow/experiments/create"


@pytest.fixture
def served(home: Home) -> tuple[int, subprocess.Popen[str]]:
    """A port, and the command that serves there, whatever MLflow's own variables say."""
    home.ray = {
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "*",
        "MLFLOW_HOST": "0.0.0.0",
    }
    port = free_port()
    process = home.start("ui", "--port", str(port))
    assert process.stderr is not None
    assert any("Uvicorn running on" in line for line in process.stderr)
    return port, process


def ask(port: int, method: str, path: str, **headers: str) -> tuple[int, str]:
    """Status and text of the answer to a request with exactly these headers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        body = json.dumps({"name": f"from-{headers.get('Origin', 'nowhere')}"}).encode()
        if method == "POST":
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body if method == "POST" else None)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_the_dashboard_answers_this_host_only_on_127_0_0_1_and_ends_with_ctrl_c(
    home: Home, served: tuple[int, subprocess.Popen[str]]
):
    port, process = served
    for name in (f"127.0.0.1:{port}", f"localhost:{port}"):
        status, page = ask(port, "GET", "/", Host=name)
        assert (status, "MLflow" in page) == (200, True)
    foreign = [
        "evil.example",  # whose name leads to 127.0.0.1: DNS rebinding
        f"evil.example:{port}",
        f"10.0.0.1:{port}",  # MLflow's own list would let in what begins like this
        f"192.168.1.1:{port}",
        f"10.evil.example:{port}",
        f"127.0.0.1:{port + 1}",
        "127.0.0.1",
        f"localhost.evil.example:{port}",
        f"[::1]:{port}",
    ]
    for path in ("/", "/ajax-api/2.0/mlflow/experiments/search?max_results=1", "/graphql"):
        answers = {name: ask(port, "GET", path, Host=name)[0] for name in foreign}
        assert answers == dict.fromkeys(foreign, 403), path

    # A page elsewhere may send a browser here under the right name; its origin gives it away.
    host = f"127.0.0.1:{port}"
    for origin in (
        "https://evil.example",
        "null",
        f"http://10.0.0.1:{port}",
        f"http://127.0.0.1.evil.example:{port}",
    ):
        status, _ = ask(port, "POST", EXPERIMENTS, Host=host, Origin=origin)
        assert status == 403, origin
    assert ask(port, "POST", EXPERIMENTS, Host=host, Origin=f"http://{host}")[0] == 200
    names = {one.name for one in home.client.search_experiments()}
    assert names == {"Default", f"from-http://{host}"}

    servers = psutil.Process(process.pid).children(recursive=True)
    listening = {
        connection.laddr.ip
        for server in servers
        for connection in server.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not any(server.is_running() for server in servers)
