"""The winner as a model: registered once, loaded elsewhere, served."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from resnet_core.data.digits import load_digits
from sweeps.tracking.mark import Mark
from tests.e2e.conftest import Cluster, Home, free_port, started, tracking_server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DIGITS = """\
model: {name: resnet_20, num_classes: 10, initial_stem: cifar}
optimizer:
  decoupled_sgdw: {learning_rate: 0.05, momentum: 0.9, weight_decay: 5e-4}
lr_schedulers: {linear_warmup: 1ep, cosine_decay: {T_max: 1ep}}
train_batch_size: 64
max_duration: 2ep
data: {digits: {}}
methods: {channels_last: true}
"""
REGISTER = "tracking: {register_winner: true, figures: false}\n"
SWEEP = """\
tracking: {register_winner: true, figures: false}
space: {optimizer.decoupled_sgdw.learning_rate: {choice: [0.02, 0.03, 0.1]}}
search: {algorithm: random, trials: 2, seed: 3}
"""

PREDICT = """\
import json, sys
from pathlib import Path
import mlflow
import numpy as np

images = np.load(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/e2e@champion")
found = {size: np.concatenate([model.predict(images[at:at + size])
                               for at in range(0, len(images), size)]).tolist()
         for size in (1, 3, len(images))}
import resnet_core
print(json.dumps({
    "code": resnet_core.__file__,
    "found": found,
    "sweeps": "sweeps" in sys.modules,
    "input": model.metadata.signature.inputs.inputs[0].shape,
    "example": model.input_example.tolist(),
}))
"""


def environment(home: Home) -> dict[str, str]:
    """Of someone who has MLflow and torch, and nothing of this repository on the path."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
    bin_folder = str(Path(sys.executable).parent)
    return kept | {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": f"sqlite:///{home.path / 'mlflow.db'}",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }


def ask(port: int, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.long
def test_the_winner_is_loaded_elsewhere_and_served_and_says_what_was_evaluated(
    home: Home, tmp_path_factory: pytest.TempPathFactory
):
    out, err = home.run("run", home.write(SWEEP, DIGITS), "-o", "json")
    result = json.loads(out)
    assert f"registered {result['winner']} as version 1 of e2e: models:/e2e@champion" in err
    (winner,) = [row for row in result["trials"] if row["trial"] == result["winner"]]
    version = home.client.get_model_version_by_alias("e2e", "champion")
    (folder,) = (home.path / "results/e2e/trials").glob(f"{result['winner']}-*")
    mark = Mark.read(folder)
    assert mark is not None
    assert version.run_id == mark.run_id
    assert "not confirmed" in (version.description or "")
    assert f"val_accuracy {winner['value']:.4f}" in (version.description or "")
    assert "CPU-hours" in (version.description or "")
    assert f"trial {result['winner']}, run {mark.run_id}" in (version.description or "")

    _, validation, _ = load_digits()
    images = validation.images.permute(0, 2, 3, 1).contiguous().numpy()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    np.save(elsewhere / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, "images.npy"],
        cwd=elsewhere, env=environment(home), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    # The model brings its own copy of the library; the sweep's own is not asked.
    assert "/code/resnet_core/" in said["code"]
    assert not said["sweeps"]
    found = {int(size): np.array(rows) for size, rows in said["found"].items()}
    whole = found[len(images)]
    right = (whole.argmax(axis=1) == validation.labels.numpy()).mean()
    assert right == winner["metrics"]["val_accuracy"]
    for size in (1, 3):
        np.testing.assert_allclose(found[size], whole, rtol=0, atol=1e-5)
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=0, atol=1e-5)
    assert said["input"] == [-1, 8, 8, 3]
    assert np.array_equal(said["example"], images[: len(said["example"])])
    assert len(said["example"]) >= 2

    port = free_port()
    serve = f"models serve -m models:/e2e@champion --env-manager local -h 127.0.0.1 -p {port}"
    with started(serve, environment(home), elsewhere):
        answer = ask(port, {"inputs": images[:2].tolist()})
        np.testing.assert_allclose(answer["predictions"], whole[:2], rtol=0, atol=1e-5)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask(port, {"inputs": np.zeros((2, 9, 9, 3), int).tolist()})


@pytest.mark.long
def test_at_a_server_a_winner_is_registered_once_and_the_next_one_takes_the_alias(
    home: Home, cluster: Cluster
):
    home.ray = cluster.ray
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    client = MlflowClient(url)
    rate = "optimizer.decoupled_sgdw.learning_rate"

    def champion() -> ModelVersion:
        return client.get_model_version_by_alias("e2e", "champion")

    with tracking_server(home, port):
        space = f"space: {{{rate}: {{grid: [0.05]}}}}\n"
        file = home.write(f"{space}search: {{trials: 1}}\n{REGISTER}", DIGITS)
        sets = ("--set", f"tracking.uri={url}", "--set", f"{rate}=1e-4")
        _, err = home.run("run", file, *sets)
        assert "registered t0000 as version 1 of e2e" in err
        assert "t0000 recipe, the winner of the sweep e2e\nnot confirmed" in (
            champion().description or ""
        )

        _, err = home.run("rerun", "e2e/t0000", "--set", f"{rate}=0.05")
        assert "registered t0001 as version 2 of e2e" in err
        assert str(champion().version) == "2"

        client.delete_registered_model("e2e")
        (weights,) = (home.path / "results/e2e/trials").glob("t0001-*/checkpoints/ep0002/model.pt")
        whole = weights.read_bytes()
        weights.write_bytes(whole + b"x")
        _, err = home.run("confirm", "e2e", "--top-k", "1", "--seeds", "2")
        (line,) = [line for line in err.splitlines() if "not registered" in line]
        assert "model.pt: its sha256 is not the manifest's); run the sweep again" in line
        assert client.search_registered_models() == []

        weights.write_bytes(whole)
        _, err = home.run("run", file, *sets)
        assert "registered t0001 as version 1 of e2e" in err
        assert "t0001 beats the recipe by" in (champion().description or "")
        assert "mean val_accuracy over 2 seeds: t0001" in (champion().description or "")

        _, err = home.run("run", file, *sets)
        assert "as version" not in err  # it is there already
        assert len(client.search_model_versions("name = 'e2e'")) == 1
