"""Secrets are planted wherever a user may have one; none is found in anything a sweep leaves."""

import json
import secrets
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest

from tests.e2e.conftest import Cluster, Home

pytestmark = [pytest.mark.e2e, pytest.mark.ray, pytest.mark.slow]

MARK = f"planted{secrets.token_hex(8)}"
"""Whatever is planted holds this word, and nothing else does: neither this file nor another one."""
PLANTED = {
    "MLFLOW_TRACKING_PASSWORD": f"{MARK}-mlflow-password",
    "MLFLOW_TRACKING_USERNAME": "me",
    "AWS_SECRET_ACCESS_KEY": f"{MARK}/aws+secret+key",
    "HF_TOKEN": f"{MARK}-hugging-face",
    "SWEEPS_WEBHOOK_URL": f"http://127.0.0.1:9/services/{MARK}-webhook",
}
IN_TRACKING_URI = f"{MARK}-in-tracking-uri"
IN_DIFF = f"{MARK}-in-the-diff"
IN_REMOTE = f"{MARK}-in-the-remote"
IN_ERROR = f"{MARK}-in-the-error"
SOURCE = f"""\
import os


class Images:
    num_classes = 4

    def __init__(self):
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "none")
        raise RuntimeError(f"no {{secret}} at https://me:{IN_ERROR}@bucket.example/x")
"""

RECIPE = """\
model: {name: resnet_20, num_classes: 4, initial_stem: cifar}
optimizer:
  decoupled_sgdw: {learning_rate: 0.02, momentum: 0.9, weight_decay: 5e-4}
lr_schedulers: {linear_warmup: 1ba, cosine_decay: {T_max: 3ba}}
train_batch_size: 16
max_duration: 2ep
data: {fake: {num_train: 32, num_evaluation: 16, image_size_px: 8}}
"""

SWEEP = """\
space: {data: {choice: [{custom: {entry: "leaky:Images"}}]}}
search: {algorithm: grid}
"""


@contextmanager
def echoing() -> Iterator[int]:
    """A server that fails, and repeats who asked for what, credentials and all; its port."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({
                "error_code": "INTERNAL_ERROR",
                "message": f"http://me:{IN_TRACKING_URI}@host{self.path} {self.headers}",
            }).encode()  # fmt: skip
            self.send_response(400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = do_GET  # noqa: N815  the names are http.server's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def plant(home: Home) -> None:
    """A repository with a secret in its remote and in what is not committed; data that leak."""
    (home.path / "leaky.py").write_text(SOURCE)

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example"]
        subprocess.run(["git", *identity, *arguments], cwd=home.path, check=True)

    notes = home.path / "notes.py"
    notes.write_text("rate = 1\n")
    git("init", "-q")
    git("add", "notes.py")
    git("commit", "-qm", "first")
    git("remote", "add", "origin", f"https://me:{IN_REMOTE}@git.example/repository")
    notes.write_text(f'rate = 2\napi_key = "{IN_DIFF}"\nurl = "https://me:{IN_DIFF}@host/"\n')


def leaks(folder: Path, *, ours: tuple[str, ...]) -> list[str]:
    """Every file that holds a secret, but those that the test has written itself."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    found = [path for path in files if MARK.encode() in _content(path)]
    return [str(path.relative_to(folder)) for path in found if path.name not in ours]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # Ray, which still runs, has just renamed it
        return b""


def command_lines_of(process: subprocess.Popen[str], until: threading.Event) -> list[str]:
    """What `ps` has shown of the driver and its children while it ran."""
    seen: set[str] = set()
    while not until.wait(0.2):
        try:
            me = psutil.Process(process.pid)
            for one in (me, *me.children(recursive=True)):
                seen.add(" ".join(one.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return sorted(seen)


def test_no_secret_is_in_anything_that_a_sweep_says_or_leaves(home: Home, cluster: Cluster):
    plant(home)
    home.ray = {**cluster.ray, **PLANTED}
    file = home.write(SWEEP, recipe=RECIPE)
    with echoing() as port:
        home.ray["MLFLOW_TRACKING_URI"] = f"http://me:{IN_TRACKING_URI}@127.0.0.1:{port}"
        process = home.start("run", file, "-v")
        done = threading.Event()
        shown: list[str] = []
        watch = threading.Thread(target=lambda: shown.extend(command_lines_of(process, done)))
        watch.start()
        out, err = process.communicate(timeout=240)
        done.set()
        watch.join()
    assert process.returncode == 0, out + err
    statuses = [json.loads(one.read_text())["status"]
                for one in sorted(home.path.glob("results/e2e/trials/*/trial.json"))]  # fmt: skip
    assert sorted(statuses) == ["completed", "failed"]
    assert "not everything has reached http://***@127.0.0.1" in err
    (error,) = [one for path in home.path.glob("results/e2e/trials/*/trial.json")
                if (one := json.loads(path.read_text())["error"])]  # fmt: skip
    # The key is not even handed to the cluster's workers.
    assert "no none at https://***@bucket.example/x" in error
    assert MARK not in out + err
    assert shown
    assert MARK not in "\n".join(shown)
    records = "".join(ask(cluster, f"/api/v0/{what}?detail=1") for what in ("actors", "jobs"))
    assert "PL_DISABLE_FORK" in records  # which Tune hands on beside AWS's keys, left to itself
    assert MARK not in records

    # Everything is sent to a database now: the error, the diff, the report.
    del home.ray["MLFLOW_TRACKING_URI"]
    out, err = home.run("run", file)
    assert MARK not in out + err
    assert len(home.runs()) == 2
    assert list(home.path.glob("mlartifacts/**/error.txt"))
    assert "+api_key = ***" in (home.path / "results/e2e/git.diff").read_text()
    assert leaks(home.path, ours=("leaky.py", "notes.py")) == []
    assert leaks(cluster.folder, ours=()) == []  # Ray's logs


def ask(cluster: Cluster, path: str) -> str:
    """What the dashboard answers to one who has the token."""
    token = {"Authorization": f"Bearer {cluster.ray['RAY_AUTH_TOKEN']}"}
    with urlopen(Request(f"{cluster.dashboard}{path}", headers=token), timeout=30) as answer:
        return answer.read().decode()
