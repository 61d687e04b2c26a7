"""The product as its users have it: the command line, a real Ray, a real MLflow."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

REPOSITORY = Path(__file__).parents[2]
TIMEOUT_SECONDS = 240

RECIPE = """\
model: {name: resnet_20, num_classes: 4, initial_stem: cifar}
optimizer:
  decoupled_sgdw: {learning_rate: 0.02, momentum: 0.9, weight_decay: 5e-4}
lr_schedulers: {linear_warmup: 1ep, cosine_decay: {T_max: 3ep}}
train_batch_size: 16
max_duration: 4ep
data: {fake: {num_train: 480, num_evaluation: 33, image_size_px: 8}}
"""
PLAIN_TRACKING = "tracking: {register_winner: false, figures: false}"


@dataclass
class Home:
    """A folder with sweep files, results and a tracking database of its own."""

    path: Path
    ray: dict[str, str] = field(default_factory=dict)  # reaches a running Ray; {} starts one
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, sweep: str, recipe: str = RECIPE) -> Path:
        """Write a sweep file ``e2e`` and its recipe.

        Unless it says so, nothing stops early, and neither a model is registered nor figures are
        drawn, which takes seconds.
        """
        (self.path / "recipe.yaml").write_text(recipe)
        file = self.path / "sweep.yaml"
        stopping = "" if "early_stopping" in sweep else "early_stopping: null\n"
        tracking = "" if "tracking" in sweep else f"{PLAIN_TRACKING}\n"
        file.write_text(f"version: 1\nname: e2e\nextends: recipe.yaml\n{stopping}{tracking}{sweep}")
        return file

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start ``python -m sweeps`` here, in a process group of its own."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))}
        environment |= {"SWEEPS_HOME": str(self.path), "COLUMNS": "200", **self.ray}
        process = subprocess.Popen(
            [sys.executable, "-m", "sweeps", *map(str, arguments)],
            cwd=self.path,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            # A shell that ran the tests in the background would have made them deaf to Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.running.append(process)
        return process

    def run(self, *arguments: str | Path, status: int = 0) -> tuple[str, str]:
        """Run a command to its end and check its exit status; stdout and stderr."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == status, f"exit {process.returncode}\n{out}\n{err}"
        return out, err

    def runs(self) -> dict[str, Run]:
        """The sweep's nested MLflow runs by trial, read by MLflow's own client."""
        client = self.client
        experiment = client.get_experiment_by_name("e2e")
        assert experiment is not None
        runs = list(client.search_runs([experiment.experiment_id]))
        (parent,) = [run for run in runs if run.data.tags["sweep.role"] == "sweep"]
        trials = [run for run in runs if run is not parent]
        assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
        by_trial = {run.data.tags["sweep.trial"]: run for run in trials}
        assert len(by_trial) == len(trials)  # no run is doubled
        return by_trial

    def epochs(self, run: Run) -> list[float]:
        """The epochs of a run in the order of MLflow's steps, repeated ones repeated."""
        points = self.client.get_metric_history(run.info.run_id, "epoch")
        return [point.value for point in sorted(points, key=lambda point: point.step)]

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.path / 'mlflow.db'}")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    for process in home.running:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # `ui` ends its server, which a kill would leave
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    shutil.rmtree(tmp_path, ignore_errors=True)  # checkpoints are large


@dataclass(frozen=True)
class Cluster:
    """A Ray of its own, with dashboard and token authentication, Ray's default."""

    dashboard: str
    ray: dict[str, str]  # variables that reach it
    environment: dict[str, str]  # a whole environment that reaches it
    folder: Path  # of its logs, among others


@contextmanager
def ray_head(num_cpus: int, *, asks_for_token: bool = True) -> Iterator[Cluster]:
    """A local Ray head; it is gone afterwards, with its temporary folder."""
    folder = tempfile.mkdtemp(prefix="e2e-")  # socket paths must be short
    port, dashboard_port = free_port(), free_port()
    bin_folder = str(Path(sys.executable).parent)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    if not asks_for_token:
        token = {"RAY_AUTH_MODE": "disabled"}
    environment |= {"PATH": f"{bin_folder}:{environment['PATH']}", **token}
    environment["TMPDIR"] = folder  # what workers that are killed leave there goes with it
    command = f"ray start --head --port {port} --dashboard-port {dashboard_port}"
    command += f" --num-cpus {num_cpus} --node-ip-address 127.0.0.1 --temp-dir {folder}"
    command += " --include-dashboard true --disable-usage-stats --include-log-monitor false"
    command += f" --ray-client-server-port {free_port()}"
    command += f" --dashboard-agent-listen-port {free_port()}"
    try:
        done = subprocess.run(
            command.split(), env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        ray = {"RAY_ADDRESS": f"127.0.0.1:{port}", **token}
        yield Cluster(f"http://127.0.0.1:{dashboard_port}", ray, environment | ray, Path(folder))
    finally:
        end_ray(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started(arguments: str, environment: dict[str, str], cwd: Path) -> Iterator[None]:
    """``mlflow ARGUMENTS``, a server that uvicorn runs, from its first answer on."""
    # As `sweeps ui` starts it: what runs MLflow's own jobs is seven processes more.
    environment = {**environment, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *arguments.split()],
        cwd=cwd, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert server.stderr is not None
        assert any("Uvicorn running on" in line for line in server.stderr)
        threading.Thread(target=server.stderr.read, daemon=True).start()  # or the pipe fills up
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def tracking_server(home: Home, port: int) -> AbstractContextManager[None]:
    """An MLflow server over `home`'s database, with artifacts of its own."""
    server = f"server --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port {port}"
    server += " --artifacts-destination artifacts --workers 1"
    return started(server, dict(os.environ), home.path)


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """One Ray with two CPUs for every test that does not need its own: a start costs seconds."""
    with ray_head(num_cpus=2) as cluster:
        yield cluster


def end_ray(folder: str) -> None:
    """End every process of the Ray whose temporary folder this is, and no other one's."""
    session = re.compile(re.escape(folder) + r"(/|\b)")
    own = [p for p in psutil.process_iter(["cmdline"])
           if session.search(" ".join(p.info["cmdline"] or []))]  # fmt: skip
    for process in own:
        own += [child for child in process.children(recursive=True) if child not in own]
    for process in own:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(own, timeout=10)


def wait_for_line(process: subprocess.Popen[str], text: str, times: int = 1) -> None:
    """Read dated lines until so many of them hold the text; what follows stays to be read."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        times -= text in line
        if times == 0:
            return
    pytest.fail(f"{text!r} never came:\n{''.join(seen)}")


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def processes_of(root: subprocess.Popen[Any], name: str) -> list[psutil.Process]:
    """The living descendants of a process whose title begins with a name, as ``ray::Worker`` does.

    Looks again until there is one: Ray rewrites the titles, and they read as empty meanwhile.
    """
    found: list[psutil.Process] = []
    while not found:
        assert root.poll() is None, f"it has ended, and no {name} was seen"
        for process in psutil.Process(root.pid).children(recursive=True):
            try:
                if " ".join(process.cmdline()).startswith(name):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
    return found
