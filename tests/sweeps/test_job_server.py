"""What is said of a cluster before a sweep is given to it; the jobs: `tests/e2e/test_submit.py`."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.submit import job_server
from sweeps.submit.job_server import (
    InvalidAddress,
    JobServer,
    NoJobServer,
    address_of,
    answers_without_token,
    warning_of,
)
from tests.sweeps.sweep_file import DESIGN, HEAD, RECIPE


@pytest.fixture
def answering() -> Iterator[dict[str, int]]:
    """A server that answers with this ``status``, at this ``port``."""
    told = {"status": 200}

    class JobList(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(told["status"] if self.path == "/api/jobs/" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), JobList) as server:
        told["port"] = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield told
        server.shutdown()


@pytest.mark.parametrize(("status", "expected"), [(200, True), (401, False), (403, False)])
def test_a_cluster_is_open_if_it_lists_its_jobs_to_anybody(answering, status, expected):
    answering["status"] = status
    assert answers_without_token(f"http://127.0.0.1:{answering['port']}") is expected


def test_an_open_cluster_that_others_reach_is_warned_of_and_one_of_this_machine_is_not(monkeypatch):
    monkeypatch.setattr(job_server, "answers_without_token", lambda address: True)
    warning = warning_of("http://ray.example:8265")
    assert warning is not None
    assert "http://ray.example:8265 asks for no token: whoever reaches it can run code" in warning
    assert warning_of("http://127.0.0.1:8265") is None
    monkeypatch.setattr(job_server, "answers_without_token", lambda address: False)
    assert warning_of("http://ray.example:8265") is None


def test_the_address_is_the_one_given_then_the_profiles_then_the_environments(monkeypatch):
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    assert address_of(None) == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://c:1")
    assert address_of(None) == "http://c:1"
    assert address_of(None, "http://b:1/") == "http://b:1"
    assert address_of("http://a:1", "http://b:1") == "http://a:1"


@pytest.mark.parametrize("address", ["ray.example:6379", "127.0.0.1:8265", "ray://head:10001"])
def test_what_is_no_address_of_a_dashboard_is_refused(address):
    with pytest.raises(InvalidAddress, match="is no address of a dashboard; write it as http://"):
        address_of(address)


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999", "http://[::1", "http://exa mple:1"])
def test_an_address_that_leads_nowhere_is_said_and_no_traceback(address):
    with pytest.raises(NoJobServer, match="no Ray cluster takes a job at"):
        JobServer(address)


def test_submitting_to_an_open_cluster_that_others_reach_warns(tmp_path, monkeypatch):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "sweep.yaml").write_text(HEAD + DESIGN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job_server, "answers_without_token", lambda address: True)
    # The name leads nowhere, as it says (RFC 2606): what comes after the warning is refused.
    done = CliRunner().invoke(app, ["submit", "sweep.yaml", "--address", "http://ray.invalid:8265"])
    assert done.exit_code == 3
    assert "http://ray.invalid:8265 asks for no token" in done.stderr


def test_data_that_would_stay_behind_are_refused(tmp_path, monkeypatch):
    recipe = RECIPE.replace("data: {digits: {}}", "data: {image_folder: {path: imagenet}}")
    (tmp_path / "recipe.yaml").write_text(recipe)
    (tmp_path / "sweep.yaml").write_text(HEAD + DESIGN)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["submit", "sweep.yaml"])
    assert done.exit_code == 2
    assert "data.image_folder.path is 'imagenet'" in done.stderr
    assert "--set data.image_folder.path=/shared/imagenet" in done.stderr
