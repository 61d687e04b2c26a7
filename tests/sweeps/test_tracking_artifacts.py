import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from resnet_core import Recipe
from resnet_core.manifest import Manifest
from sweeps.sections import ObjectiveConfig
from sweeps.tracking.artifacts import log_checkpoints
from sweeps.tracking.data_input import log_data
from sweeps.tracking.schedule_plot import schedule_svg

DATA = {
    "source": "digits",
    "settings": {"max_shift_px": 1},
    "num_classes": 10,
    "splits": {
        "train": {"digest": "ab" * 32, "num_images": 1204},
        "validation": {"digest": "cd" * 32, "num_images": 297},
    },
}


@pytest.fixture
def client(tmp_path):
    return MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture
def run_id(client, tmp_path):
    experiment_id = client.create_experiment("one", (tmp_path / "artifacts").as_uri())
    return client.create_run(experiment_id).info.run_id


def checkpoint(trial_folder, epoch, accuracy, *, is_whole=True):
    folder = trial_folder / "checkpoints" / f"ep{epoch:04d}"
    folder.mkdir(parents=True)
    metrics = {"epoch": epoch, "val_accuracy": accuracy}
    manifest = Manifest(epoch, 10 * epoch, metrics, {}, {"model.pt": "0"}, 1.0)
    (folder / "manifest.json").write_text(manifest.to_json())
    if is_whole:
        (folder / "model.pt").write_bytes(b"weights")
    (folder / "optimizer.pt").write_bytes(b"large")


def epochs_of(client, run_id, into):
    into.mkdir()
    found = {}
    for name in ("best_checkpoint", "last_checkpoint"):
        folder = Path(client.download_artifacts(run_id, name, str(into)))
        assert sorted(file.name for file in folder.iterdir()) == ["manifest.json", "model.pt"]
        found[name] = json.loads((folder / "manifest.json").read_text())["epoch"]
    return found


def test_best_and_last_are_chosen_from_the_manifests_of_whole_checkpoints(tmp_path, client, run_id):
    checkpoint(tmp_path, 2, 0.9)
    checkpoint(tmp_path, 4, 0.8)
    checkpoint(tmp_path, 5, 0.99, is_whole=False)
    arrived: list[None] = []
    log_checkpoints(client, run_id, tmp_path, ObjectiveConfig(), lambda: arrived.append(None))
    assert len(arrived) == 4  # manifest and weights of two
    assert epochs_of(client, run_id, tmp_path / "fetched") == {
        "best_checkpoint": 2,
        "last_checkpoint": 4,
    }


def test_a_damaged_manifest_costs_its_own_checkpoint_alone(tmp_path, client, run_id):
    checkpoint(tmp_path, 2, 0.7)
    checkpoint(tmp_path, 4, 0.8)
    manifest = tmp_path / "checkpoints/ep0004/manifest.json"
    manifest.write_text(manifest.read_text().replace("0.8", "0.9"))
    log_checkpoints(client, run_id, tmp_path, ObjectiveConfig())
    assert epochs_of(client, run_id, tmp_path / "fetched") == {
        "best_checkpoint": 2,
        "last_checkpoint": 2,
    }


def test_a_trial_without_checkpoints_has_none_as_artifacts(tmp_path, client, run_id):
    log_checkpoints(client, run_id, tmp_path, ObjectiveConfig())
    assert client.list_artifacts(run_id) == []


def test_the_splits_are_inputs_of_the_run_once_however_often_they_are_sent(client, run_id):
    log_data(client, run_id, DATA)
    log_data(client, run_id, DATA)
    inputs = client.get_run(run_id).inputs.dataset_inputs
    found = {one.tags[0].value: one.dataset for one in inputs}
    assert len(inputs) == len(found) == 2
    assert found["training"].digest == "ab" * 18  # MLflow takes 36 characters
    assert found["validation"].digest == "cd" * 18
    assert json.loads(found["training"].profile) == {"num_images": 1204, "num_classes": 10}
    assert json.loads(found["training"].source)["digits"] == {"max_shift_px": 1}


def drawn(recipe_data, num_train):
    """The points of the drawn line, as shares of width and height from the lower left."""
    svg = schedule_svg(Recipe.model_validate(recipe_data), num_train)
    line = svg.partition('<polyline points="')[2].partition('"')[0]
    return [
        ((float(x) - 60) / 560, (270 - float(y)) / 240)
        for x, y in (point.split(",") for point in line.split())
    ]


def test_the_schedule_is_drawn_step_by_step(load):
    recipe = load().recipe_data  # 1 epoch of warm-up to the peak, 5 of cosine
    recipe = recipe | {"train_batch_size": 10}
    points = drawn(recipe, 100)
    assert len(points) == 60
    assert points[0] == (0, 0)
    assert points[5] == pytest.approx((5 / 60, 0.5), abs=1e-3)
    assert points[10] == pytest.approx((1 / 6, 1), abs=1e-3)
    assert points[35] == pytest.approx((35 / 60, 0.5), abs=1e-3)  # half of the cosine


def test_the_drawing_is_the_same_for_another_peak(load):
    recipe = Recipe.model_validate(load().recipe_data)
    other = load(sets=["optimizer.decoupled_sgdw.learning_rate=0.1"])
    assert schedule_svg(recipe, 1204) == schedule_svg(other.recipe, 1204)


def test_a_long_schedule_is_drawn_with_at_most_six_hundred_points(load):
    assert 300 <= len(drawn(load().recipe_data, 1_281_167)) <= 601
