"""What a chat room is told when a driver ends, and that its address is seen nowhere."""

import signal
from pathlib import Path

import pytest

from sweeps.webhook import VARIABLE
from tests.e2e.conftest import Cluster, Home, wait_for_line
from tests.sweeps.chat_room import SECRET, chat_room

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

SWEEP = (
    "space:\n  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.001, 0.1]}\n"
    "search: {algorithm: random, trials: 2}\n"
)


def files_with_the_secret(folder: Path) -> list[Path]:
    """Results, tracking database and artifacts alike."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if SECRET.encode() in path.read_bytes()]


def test_a_driver_that_ends_tells_its_webhook_who_won(
    home: Home, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    home.ray = cluster.ray
    with chat_room() as room:
        monkeypatch.setenv(VARIABLE, room.url)
        out, err = home.run("run", home.write(SWEEP), "-v", "--set", "max_duration=1ep")
    ((content_type, body),) = room.posts
    assert content_type == "application/json"
    first, second, *_ = body["text"].splitlines()
    assert first == "sweep e2e finished"
    assert second.startswith("Best: t000")
    assert second in out
    assert SECRET not in out + err
    assert files_with_the_secret(home.path) == []


def test_a_driver_that_is_interrupted_says_so_and_a_webhook_that_fails_changes_nothing(
    home: Home, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    home.ray = cluster.ray
    with chat_room() as room:
        room.status = 500
        monkeypatch.setenv(VARIABLE, room.url)
        process = home.start("run", home.write(SWEEP), "--set", "max_duration=40ep")
        wait_for_line(process, "t0000: epoch 1/40")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [body["text"].splitlines()[0] for _, body in room.posts] == ["sweep e2e interrupted"]
    assert err.count("the webhook was not told: HTTP status 500\n") == 1
    assert "go on with: python -m sweeps resume e2e" in err
    assert SECRET not in out + err
