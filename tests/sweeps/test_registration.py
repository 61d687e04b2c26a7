"""The model that is logged, in a store of its own; from end to end: `tests/e2e/test_winner.py`."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.pyfunc import load_model
from PIL import Image

import resnet_core
from resnet_core import fit
from resnet_core.checkpoint import CorruptCheckpoint, load_checkpoint
from resnet_core.data.dataset import Split
from resnet_core.data.sources import load_data
from resnet_core.evaluate import named_data
from sweeps.tracking.order import Order
from sweeps.tracking.packing import NUM_EXAMPLES, pack
from sweeps.tracking.registration import ModelDiffers, register
from tests.core.tiny_recipe import full_recipe, tiny_recipe

PICKLES = (".pkl", ".pickle", ".joblib")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """Of a training with an average of the weights, images that are resized, and much more."""
    folder = tmp_path_factory.mktemp("trial") / "ep0001"
    for result in fit(full_recipe(max_duration="1ep", lr_schedulers={}), device="cpu"):
        result.save_checkpoint(folder)
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[MlflowClient]:
    """Of a store that is also the one of the environment: a new one takes seconds."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        yield MlflowClient(uri)


@pytest.fixture(scope="module")
def packed(checkpoint, tmp_path_factory) -> tuple[Path, Path]:
    """The folder, and the file with the weights."""
    folder = tmp_path_factory.mktemp("packed")
    return folder, checkpoint / pack(checkpoint, folder, None)


@pytest.fixture
def order(client, packed, tmp_path) -> Order:
    """To register the packed model under a name, and for a run, that no other test has."""
    name = tmp_path.name
    artifacts = (tmp_path / "artifacts").as_uri()
    experiment = client.create_experiment(name, artifact_location=artifacts)
    run_id = client.create_run(experiment).info.run_id
    folder = tmp_path / "packed"
    shutil.copytree(packed[0], folder)
    code = str(Path(resnet_core.__file__).parent)
    return Order(name, run_id, str(folder), str(packed[1]), code, "said", {"sweep.trial": "t0001"})


def logged_statuses(client: MlflowClient, order: Order) -> list[str]:
    experiment = client.get_run(order.run_id).info.experiment_id
    return [str(one.status) for one in client.search_logged_models([experiment])]


def test_with_an_average_of_the_weights_it_is_the_average_that_is_registered(
    client, order, checkpoint
):
    assert register(client, order) == "1"
    version = client.get_model_version_by_alias(order.name, "champion")
    assert (version.run_id, version.description) == (order.run_id, "said")
    assert version.tags["sweep.trial"] == "t0001"
    run = client.get_run(order.run_id)
    assert [f"models:/{one.model_id}" for one in run.outputs.model_outputs] == [version.source]
    local = Path(download_artifacts(f"models:/{order.name}@champion"))
    found = torch.load(local / "artifacts/ema.pt", weights_only=True)
    states, _ = load_checkpoint(checkpoint, torch.device("cpu"))
    assert all(torch.equal(found[key], value) for key, value in states["ema"].items())
    assert not torch.equal(found["fc.weight"], states["model"]["fc.weight"])
    assert not [path for path in local.rglob("*") if path.suffix in PICKLES]


def test_whoever_serves_the_model_is_told_all_that_the_code_beside_it_imports(client, order):
    register(client, order)
    local = Path(download_artifacts(f"models:/{order.name}@champion"))
    told = {line.partition("==")[0] for line in (local / "requirements.txt").read_text().split()}
    project = tomllib.loads((Path(resnet_core.__file__).parents[1] / "pyproject.toml").read_text())
    needed = {one.partition(">=")[0] for one in project["project"]["dependencies"]}
    assert told == needed | {"mlflow"}


def test_the_examples_are_the_first_images_of_the_validation_split(order):
    data = load_data(named_data(full_recipe()), 4, torch.device("cpu"))
    images = np.load(Path(order.folder) / "images.npy")
    assert NUM_EXAMPLES >= 2
    assert isinstance(data.validation, Split)
    assert np.array_equal(
        images, data.validation.images[:NUM_EXAMPLES].permute(0, 2, 3, 1).numpy()
    )  # fmt: skip


def test_a_model_that_says_something_else_is_not_registered(client, order):
    file = Path(order.folder) / "probabilities.npy"
    probabilities = np.load(file)
    probabilities[-1, 0] += 1e-4  # ten times the tolerance
    np.save(file, probabilities)
    with pytest.raises(ModelDiffers, match=r"differ by up to 0\.0001"):
        register(client, order)
    assert client.search_registered_models(f"name = '{order.name}'") == []
    assert logged_statuses(client, order) == ["FAILED"]


def test_the_mean_of_the_training_images_goes_with_the_model(client, order):
    file = Path(order.folder) / "preprocessing.json"
    preprocessing = json.loads(file.read_text())
    preprocessing["mean"][0] += 20
    file.write_text(json.dumps(preprocessing))
    with pytest.raises(ModelDiffers):
        register(client, order)


def test_a_checkpoint_that_is_damaged_is_not_packed(tmp_path):
    folder = tmp_path / "ep0001"
    (result, *_) = fit(tiny_recipe(max_duration="1ba"), device="cpu")
    result.save_checkpoint(folder)
    with (folder / "model.pt").open("r+b") as file:
        file.seek(2000)
        file.write(b"xxxx")
    with pytest.raises(CorruptCheckpoint, match="sha256"):
        pack(folder, tmp_path, None)


def test_a_model_of_a_folder_takes_images_of_any_size(client, order, tmp_path):
    rng = np.random.default_rng(0)
    for split, name, index in product(("train", "val"), ("ant", "bee"), range(4)):
        folder = tmp_path / "images" / split / name
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40 + index, 50 - index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    recipe = tiny_recipe(
        model={"name": "resnet_20", "num_classes": 2},
        data={"image_folder": {"path": str(tmp_path / "images")}},
        methods={"resolution": {"train_px": 16, "evaluation_px": 16}},
        lr_schedulers={}, train_batch_size=8, max_duration="1ep", loader_processes=0,
    )  # fmt: skip
    (result,) = fit(recipe, device="cpu")
    result.save_checkpoint(tmp_path / "ep0001")
    folder = Path(order.folder)
    order = replace(
        order, weights=str(tmp_path / "ep0001" / pack(tmp_path / "ep0001", folder, None))
    )
    # What the first four, all ants, have in common is the size of the smallest sides.
    assert np.load(folder / "images.npy").shape == (4, 40, 47, 3)
    register(client, order)
    model = load_model(f"models:/{order.name}@champion")
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, -1, -1, 3)
    assert model.metadata.metadata is not None
    assert model.metadata.metadata["class_names"] == ["ant", "bee"]
    surprise = []
    for label, index in product((0, 1), range(4)):
        file = tmp_path / "images/val" / ("ant", "bee")[label] / f"{index}.png"
        surprise.append(-np.log(model.predict(np.asarray(Image.open(file))[None])[0, label]))
    # float32, in batches of one image and of eight
    assert np.mean(surprise) == pytest.approx(result.val_cross_entropy, abs=1e-5)


def test_the_process_that_registers_ends_with_its_driver(tmp_path):
    theirs, drivers = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "sweeps.tracking.registration", str(theirs)], pass_fds=[theirs],
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"},
        stdin=subprocess.PIPE,  # open, and nothing comes
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        os.close(drivers)
        assert process.wait(120) == 1
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert list(tmp_path.iterdir()) == []
