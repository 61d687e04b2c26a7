"""The dashboard that ``sweeps ui`` serves."""

import signal
import urllib.error
import urllib.request

import psutil
import pytest

from tests.e2e.conftest import Home, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_the_dashboard_answers_on_127_0_0_1_refuses_other_names_and_ends_with_ctrl_c(home: Home):
    port = free_port()
    process = home.start("ui", "--port", str(port))
    assert process.stderr is not None
    assert any("Uvicorn running on" in line for line in process.stderr)
    url = f"http://127.0.0.1:{port}/"
    with urllib.request.urlopen(url, timeout=30) as page:
        assert "MLflow" in page.read().decode()
    foreign = urllib.request.Request(url, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(foreign, timeout=30)
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
