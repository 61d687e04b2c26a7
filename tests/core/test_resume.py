import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from resnet_core import EpochResult, create_resnet, fit
from resnet_core.checkpoint import load_checkpoint
from resnet_core.data.augment import normalise
from resnet_core.data.dataset import Split
from resnet_core.data.sources import load_data
from resnet_core.evaluate import evaluate_checkpoint, evaluate_checkpoint_by_image, named_data
from tests.core.tiny_recipe import tiny_recipe

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
TIMES = {"images_per_second", "data_wait_share", "elapsed_seconds"}


@dataclass
class Training:
    """Results of `tiny_recipe`, trained to its end, and the checkpoints of epochs 1 and 3."""

    results: list[dict[str, Any]]
    folder: Path

    @property
    def first(self) -> Path:
        return self.folder / "ep0001"

    @property
    def last(self) -> Path:
        return self.folder / "ep0003"


@pytest.fixture(scope="module")
def training(one_thread, tmp_path_factory) -> Iterator[Training]:
    training = Training([], tmp_path_factory.mktemp("training"))
    for result in fit(tiny_recipe()):
        training.results.append(result.metrics())
        if result.epoch != 2:
            result.save_checkpoint(training.folder / f"ep{result.epoch:04d}")
    yield training
    shutil.rmtree(training.folder)  # 90 MB a checkpoint


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in TIMES}


def assert_same_bits(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def final_states(result: EpochResult, folder: Path) -> dict[str, Any]:
    result.save_checkpoint(folder / "found")
    states, _ = load_checkpoint(folder / "found", CPU)
    shutil.rmtree(folder / "found")
    return states


def test_the_same_recipe_trains_to_the_same_bits(training, tmp_path):
    *before, last = fit(tiny_recipe())
    expected, _ = load_checkpoint(training.last, CPU)
    assert_same_bits(final_states(last, tmp_path), expected)
    results = [without_times(result.metrics()) for result in [*before, last]]
    assert results == [without_times(result) for result in training.results]


def test_another_seed_trains_to_other_weights(training):
    *_, last = fit(tiny_recipe(seed=1))
    expected, _ = load_checkpoint(training.last, CPU)
    assert not torch.equal(last.model.fc.weight, expected["model"]["fc.weight"])


def test_a_resumed_training_ends_with_the_same_bits(training, tmp_path):
    *before, last = fit(tiny_recipe(), resume_from=training.first)
    expected, _ = load_checkpoint(training.last, CPU)
    assert_same_bits(final_states(last, tmp_path), expected)
    results = [without_times(result.metrics()) for result in [*before, last]]
    assert results == [without_times(result) for result in training.results[1:]]


def test_a_resumed_training_counts_its_seconds_on(training):
    resumed = next(fit(tiny_recipe(), resume_from=training.first))
    assert resumed.elapsed_seconds > training.results[0]["elapsed_seconds"]


def test_a_snapshot_is_of_its_own_moment_however_far_the_training_has_gone_on(tmp_path, training):
    results = fit(tiny_recipe())
    snapshot = next(results).snapshot()
    next(results)
    snapshot.save(tmp_path / "ep0001")
    states, manifest = load_checkpoint(tmp_path / "ep0001", CPU)
    expected_states, expected = load_checkpoint(training.first, CPU)
    assert_same_bits(states, expected_states)
    assert manifest.sha256 == expected.sha256
    assert without_times(manifest.metrics) == without_times(expected.metrics)


def test_a_finished_training_has_nothing_to_resume(training):
    assert list(fit(tiny_recipe(), resume_from=training.last)) == []


def test_a_checkpoint_of_another_recipe_is_refused(training):
    with pytest.raises(ValueError, match=r"ep0001 is a .* which has seed: 0 \(here: 1\)"):
        next(fit(tiny_recipe(seed=1), resume_from=training.first))


def test_a_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(OSError, match=r"nowhere/manifest\.json"):
        next(fit(tiny_recipe(), resume_from=tmp_path / "nowhere"))


def test_a_checkpoint_tells_what_it_is_about(training):
    _, manifest = load_checkpoint(training.first, CPU)
    assert (manifest.epoch, manifest.step) == (1, 3)
    assert manifest.metrics == training.results[0]
    assert manifest.recipe == tiny_recipe().to_dict()


def test_a_checkpoint_evaluates_to_what_its_epoch_reported(training):
    for folder, result in zip((training.first, training.last), training.results[::2], strict=True):
        assert evaluate_checkpoint(folder, "validation") == {
            "loss": result["val_loss"],
            "accuracy": result["val_accuracy"],
            "cross_entropy": result["val_cross_entropy"],
            "top5_accuracy": result["val_top5_accuracy"],
            "num_images": 25,
        }


def test_a_checkpoint_evaluates_on_the_split_that_is_named(training):
    names = ("train", "validation", "test")
    train, validation, test = (evaluate_checkpoint(training.last, name) for name in names)
    assert [split["num_images"] for split in (train, validation, test)] == [56, 25, 25]
    assert test["loss"] != validation["loss"]


def test_a_checkpoint_tells_which_images_it_gets_right(training):
    values, correct = evaluate_checkpoint_by_image(training.last, "test")
    assert values == evaluate_checkpoint(training.last, "test")
    states, _ = load_checkpoint(training.last, CPU)
    model = create_resnet("resnet18", num_classes=4).eval()
    model.load_state_dict(states["model"])
    data = load_data(named_data(tiny_recipe()), 4, CPU)
    assert isinstance(data.test, Split)
    with torch.no_grad():
        logits = model(normalise(data.test.images, data.mean, data.std, channels_last=True))
    assert correct.tolist() == (logits.argmax(dim=1) == data.test.labels).tolist()
    assert correct.sum().item() / 25 == values["accuracy"]
    assert 0 < values["accuracy"] < 1


def test_evaluating_leaves_torchs_global_random_numbers_alone(training):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    evaluate_checkpoint(training.last, "test")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_saved_model_loads_into_a_bare_one(training):
    states, _ = load_checkpoint(training.last, CPU)
    model = create_resnet("resnet18", num_classes=4)
    model.load_state_dict(states["model"])
    assert torch.equal(model.fc.weight, states["model"]["fc.weight"])
