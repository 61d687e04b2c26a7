import os
import socket
import threading
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sweeps import webhook
from sweeps.cli import app
from sweeps.cluster import Refused
from sweeps.storage import SweepFolder
from sweeps.webhook import VARIABLE, announcing, post
from tests.sweeps.chat_room import SECRET, chat_room
from tests.sweeps.finished_sweep import finished_sweep
from tests.sweeps.simulation import quick_disk


@pytest.fixture
def room():
    with chat_room() as room:
        yield room


@pytest.fixture
def announce(monkeypatch):
    """What is said when these texts are announced with this address in the environment."""

    def announce(url: str, *texts: str) -> list[str]:
        monkeypatch.setenv(VARIABLE, url)
        said: list[str] = []
        with announcing(said.append) as tell:
            assert VARIABLE not in os.environ  # what the block starts does not inherit it
            for text in texts:
                tell(text)
        return said

    return announce


def test_the_last_text_is_posted_once_as_slack_s_json(room, announce):
    assert announce(room.url, "begun", "finished: +1.0 points\nof val_accuracy") == []
    assert room.posts == [("application/json", {"text": "finished: +1.0 points\nof val_accuracy"})]
    assert room.paths == [f"POST /services/{SECRET}"]


def test_it_is_posted_although_the_block_is_left_by_an_exception(room, monkeypatch):
    monkeypatch.setenv(VARIABLE, room.url)

    def crash() -> None:
        with announcing(pytest.fail) as tell:
            tell("crashed")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()
    assert [body["text"] for _, body in room.posts] == ["crashed"]


def test_nothing_is_posted_without_a_text(room, announce):
    assert announce(room.url) == []
    assert room.paths == []


def test_without_an_address_nothing_is_said(announce):
    assert announce("", "finished") == []


def test_a_text_rings_nobody_and_holds_no_password(room):
    post(room.url, "<!channel> & https://anna:pw@tracking.example/")
    ((_, body),) = room.posts
    assert body == {"text": "&lt;!channel&gt; &amp; https://***@tracking.example/"}


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_server_that_refuses_is_told_by_its_status(room, announce, status):
    room.status = status
    assert announce(room.url, "finished") == [f"the webhook was not told: HTTP status {status}"]
    assert len(room.posts) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_address_that_sends_us_elsewhere_is_not_followed(room, status):
    room.status, room.headers = status, {"Location": "/elsewhere"}
    assert post(room.url, "finished") == f"HTTP status {status}"
    assert room.paths == [f"POST /services/{SECRET}"]


def test_a_server_that_does_not_answer_is_not_waited_for(room, monkeypatch):
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.05)
    room.release.clear()
    assert post(room.url, "finished") in ("no answer in time", "TimeoutError")


def test_a_server_that_is_not_there_is_told_without_its_address(announce):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/{SECRET}"
        (said,) = announce(url, "finished")
    assert said == "the webhook was not told: ConnectionRefusedError (Connection refused)"


@pytest.mark.parametrize("bad", ["\x01", "ü", " x"])
def test_an_address_that_is_none_is_not_quoted(room, announce, bad):
    (said,) = announce(f"{room.url}{bad}{SECRET}", "finished")
    assert said.startswith("the webhook was not told: ")
    assert SECRET not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "url",
    [
        f"http://hooks.example/{SECRET}",
        f"http://127.0.0.1.example/{SECRET}",
        f"http://192.168.0.1/{SECRET}",
        f"ftp://127.0.0.1/{SECRET}",
        f"file:///{SECRET}",
        f"http://[{SECRET}/",
        SECRET,
    ],
)
def test_only_https_or_this_machine_is_told_anything(announce, monkeypatch, url):
    monkeypatch.setattr(webhook, "post", lambda *_: pytest.fail("was posted"))
    assert announce(url, "finished") == [
        "SWEEPS_WEBHOOK_URL is neither https nor http to a loopback address; it is not used"
    ]


@pytest.mark.parametrize(
    "url", ["https://hooks.example/x", "http://localhost:8/x", "http://[::1]/x", "http://127.9.9.9"]
)
def test_https_and_this_machine_are_told(announce, monkeypatch, url):
    posted: list[Any] = []
    monkeypatch.setattr(webhook, "post", lambda *sent: posted.append(sent))
    assert announce(url, "finished") == []
    assert posted == [(url, "finished")]


def test_a_proxy_does_not_see_the_address_of_this_machine(room, monkeypatch):
    with chat_room() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert post(room.url, "finished") is None
        assert proxy.paths == []
    assert len(room.posts) == 1


def test_ctrl_c_while_it_is_told_gives_up_quietly(room, monkeypatch):
    room.release.clear()

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    answer = post(room.url, "finished")
    monkeypatch.undo()
    assert answer == "interrupted"


# ---- what ends a driver before it has a result ---------------------------------------------------


@pytest.fixture
def resume(room, tmp_path, monkeypatch):
    """Resume a sweep whose driver ends like this; returns how the command ended."""
    quick_disk(monkeypatch)
    finished_sweep(tmp_path, text="search: {algorithm: random, trials: 3, seed: 5}\n")
    monkeypatch.setenv(VARIABLE, room.url)

    def resume(error: BaseException) -> Result:
        def run(*_: object) -> None:
            raise error

        monkeypatch.setattr("sweeps.launch.run", run)
        return CliRunner().invoke(app, ["resume", "s", "--storage", str(tmp_path / "results")])

    return resume


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (Refused("a trial needs 8 GPU"), 3, "sweep s refused: a trial needs 8 GPU"),
        (KeyboardInterrupt(), 130, "sweep s interrupted"),
        (ValueError("not a rate\nat all"), 1, "sweep s crashed: ValueError: not a rate"),
    ],
    ids=["refused", "interrupted", "crashed"],
)
def test_a_driver_without_a_result_tells_why(resume, room, error, status, text):
    assert resume(error).exit_code == status
    assert [body["text"] for _, body in room.posts] == [text]


@pytest.mark.slow
def test_who_finds_another_driver_at_work_tells_nothing(resume, room, tmp_path):
    with SweepFolder(tmp_path / "results/s").locked():
        assert resume(ValueError()).exit_code == 3
    assert room.posts == []
