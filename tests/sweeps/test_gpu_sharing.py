"""How many trials share a GPU. The trainings side by side are real ones, on the CPU."""

import json
from typing import Any

import pytest

from sweeps.gpu_sharing import Rates, choose, in_words, note, settle
from sweeps.sharing_probe import CannotMeasure, measure
from sweeps.storage import SweepFolder
from tests.sweeps.sweep_file import DESIGN, HEAD

RECIPE = """\
model: {name: resnet_20, num_classes: 4, initial_stem: cifar}
optimizer: {decoupled_sgdw: {learning_rate: 0.02, momentum: 0.9, weight_decay: 5e-4}}
lr_schedulers: {cosine_decay: {T_max: 1ep}}
train_batch_size: 16
max_duration: 1ep
data: {fake: {num_train: 64, num_evaluation: 8, image_size_px: 8}}
"""


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ({1: 100.0}, 1),
        ({1: 100.0, 2: 104.0}, 1),  # each would take almost twice as long for that
        ({1: 100.0, 2: 160.0, 4: 200.0, 8: 205.0}, 4),
        ({1: 100.0, 2: 90.0, 4: 150.0, 8: 149.0}, 4),
        ({1: 100.0, 2: 160.0, 4: None}, 2),
    ],
)
def test_as_few_share_a_gpu_as_train_nearly_as_fast_as_any_number(rates, chosen):
    assert choose(rates) == chosen


def test_a_recipe_of_which_not_one_fits_is_refused():
    with pytest.raises(ValueError, match="not even one training of the recipe fits"):
        choose({1: None})


def test_what_was_measured_is_told_in_one_line():
    assert in_words({1: 1000.4, 2: 1900.0, 4: None}) == (
        "images/s by trainings on one GPU: 1: 1,000, 2: 1,900, 4: out of memory; "
        "2 trials share each GPU"
    )


def test_a_sweep_is_measured_once_and_then_has_its_share(load, tmp_path):
    sweep = load(sets=["resources={gpus_per_worker: 1, share_gpus: true}"])
    folder = SweepFolder(tmp_path / "quick")
    asked: list[Any] = []

    def rates_of(asking: Any) -> Rates:
        asked.append(asking)
        return {1: 100.0, 2: 170.0, 4: 280.0, 8: 281.0}

    settled, rates = settle(sweep, folder, rates_of)
    resources = settled.spec.resources
    assert (resources.gpus_per_worker, resources.share_gpus) == (0.25, False)
    folder.path.mkdir()
    folder.sweep_file.write_text(settled.resolved_yaml())
    (folder.path / "state.json").touch()
    note(folder, rates)
    assert json.loads((folder.path / "gpu_sharing.json").read_text()) == {
        "trials_per_gpu": 4,
        "images_per_second": {"1": 100.0, "2": 170.0, "4": 280.0, "8": 281.0},
    }
    again, nothing = settle(sweep, folder, rates_of)
    assert (len(asked), nothing) == (1, {})
    assert again.changes_from(folder.sweep_file.read_text()) == ""


def test_a_sweep_that_does_not_ask_is_left_alone(load, tmp_path):
    sweep = load()
    assert settle(sweep, SweepFolder(tmp_path / "quick"), lambda _: {}) == (sweep, {})


@pytest.mark.parametrize(
    "resources", ["gpus_per_worker: 0.5", "cpus_per_worker: 2", "workers_per_trial: 2"]
)
def test_only_whole_gpus_can_be_shared(problems, resources):
    lines = f"resources: {{share_gpus: true, {resources}}}\nspace:"
    (found,) = problems(DESIGN, head=HEAD.replace("space:", lines))
    assert found == (
        "sweep.yaml:5:13: resources.share_gpus: trials of one worker can share a GPU; write "
        "gpus_per_worker: 1, or leave it out"
    )


@pytest.mark.slow
def test_trainings_run_side_by_side_until_every_count_was_tried():
    rates = measure(RECIPE, (1, 2), "cpu", seconds=0.5)
    assert list(rates) == [1, 2]
    assert all(rate is not None and rate > 0 for rate in rates.values())


@pytest.mark.slow
def test_a_recipe_that_cannot_be_trained_says_why():
    with pytest.raises(CannotMeasure, match=r"2 times at once: .*train_batch_size 16 is more than"):
        measure(RECIPE.replace("num_train: 64", "num_train: 8"), (2,), "cpu", seconds=0.5)
