"""What a plan says: against arithmetic by hand, real optimizers and real checkpoints."""

import json
import subprocess
import sys

import pytest

from sweeps.planning.plan import plan_sweep, planned_rungs
from sweeps.planning.text import plan_lines, short

HEAD = """\
version: 1
name: small
extends: recipe.yaml
search: {trials: 10}
early_stopping: {asha: {grace_period: 2ep, reduction_factor: 3}, fidelity: truncate}
confirm: {top_k: 2, seeds: 3}
space:
"""
SPACE = """\
  model.name: {choice: [resnet_20, resnet_32]}
  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.1, 1]}
"""
RECIPE = """\
model: {name: resnet_20, num_classes: 10}
optimizer: {decoupled_sgdw: {learning_rate: 0.1, momentum: 0.9}}
train_batch_size: 16
max_duration: 6ep
data: {fake: {num_train: 64, num_evaluation: 16, image_size_px: 8}}
"""


def test_a_plan_counts_trials_rungs_and_epochs(load):
    sweep = load(SPACE, head=HEAD, recipe=RECIPE)
    plan = plan_sweep(sweep)
    assert planned_rungs(sweep.spec, 6) == plan.rungs == [2]
    assert (plan.num_trials, plan.num_train, plan.confirmation_trainings) == (10, 64, 9)
    # Trial 0; 9 others of 2 epochs, of which 3 train 4 more; 9 confirmations.
    assert plan.epochs_expected == pytest.approx(6 + 9 * 2 + 3 * 4 + 9 * 6)
    assert plan.epochs_at_most == pytest.approx(6 + 9 * 6 + 9 * 6)
    assert plan.hours is None


def test_ranges_are_those_of_the_two_models(load):
    plan = plan_sweep(load(SPACE, head=HEAD, recipe=RECIPE))
    # ResNet-32 has two blocks more in each stage: 4 convolutions with their norms.
    more = sum(4 * (9 * width**2 + 2 * width) for width in (16, 32, 64))
    assert plan.num_models == plan.num_models_counted == 2
    assert plan.parameters.recipe == plan.parameters.low
    assert plan.parameters.high == plan.parameters.low + more
    assert plan.training_flops.high > plan.training_flops.recipe > plan.forward_flops.recipe


def test_what_constraints_refuse_is_in_no_range(load):
    head = HEAD.replace("space:\n", 'constraints: ["parameters <= 0.4M"]\nspace:\n')
    plan = plan_sweep(load(SPACE, head=head, recipe=RECIPE))
    assert plan.parameters.high == plan.parameters.recipe
    # Half of 300 draws, give or take four standard deviations.
    assert plan.violating_ratio == pytest.approx(0.5, abs=4 * 0.5 / 300**0.5)


def test_the_disk_holds_the_newest_and_the_best_of_every_training(load, tmp_path):
    sweep = load(SPACE, [f"storage.path={tmp_path / 'results'}"], head=HEAD, recipe=RECIPE)
    plan = plan_sweep(sweep)
    assert plan.disk.needed_bytes == pytest.approx((10 + 9) * 2 * plan.checkpoint_bytes.high)
    assert plan.disk.path == str(tmp_path / "results" / "small")
    assert not (tmp_path / "results").exists()


def test_what_cannot_be_known_is_said_and_not_guessed(load):
    recipe = RECIPE.replace("max_duration: 6ep", "max_duration: 60ba").replace(
        "{fake: {num_train: 64, num_evaluation: 16, image_size_px: 8}}",
        '{custom: {entry: "flowers:Flowers"}}',
    )
    head = HEAD.replace("search: {trials: 10}", "budget: {cpu_hours: 2}")
    head = "\n".join(line for line in head.splitlines() if "asha" not in line) + "\n"
    plan = plan_sweep(load(SPACE, head=head, recipe=recipe))
    assert plan.num_train is plan.recipe_epochs is plan.epochs_expected is None
    assert plan.num_trials is plan.disk.needed_bytes is None
    text = "\n".join(plan_lines(plan))
    assert "as many as the budget allows" in text
    assert "number of training images is not known" in text


def test_a_space_of_many_models_is_counted_in_part_and_says_so(load, monkeypatch):
    monkeypatch.setattr("sweeps.planning.points.MAX_MODELS", 4)
    space = "  model.num_classes: {int: [11, 70]}\n"
    plan = plan_sweep(load(space, head=HEAD, recipe=RECIPE))
    assert (plan.num_models, plan.num_models_counted) == (61, 4)
    assert "ranges are of 4 of the 61 models drawn" in plan.notes


@pytest.mark.parametrize(("last", "says"), [(8, True), (9, False)])
def test_a_space_with_fewer_points_than_trials_says_that_it_ends_the_sweep(load, last, says):
    # Ten trials: the recipe and nine more, where seeds 1 to 8 are eight points.
    plan = plan_sweep(load(f"  seed: {{int: [1, {last}]}}\n", head=HEAD, recipe=RECIPE))
    assert any("8 points, fewer than the trials" in note for note in plan.notes) is says


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "7 "), (1234, "1.23 k"), (999_999, "1 M"), (24_299_077_632, "24.3 G")],
)
def test_numbers_are_written_with_three_digits(number, text):
    assert short(number) == text


def test_the_command_prints_the_plan_and_starts_nothing(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "sweep.yaml").write_text(HEAD + SPACE)
    command = [sys.executable, "-m", "sweeps", "plan", "sweep.yaml", "--set", "search.trials=4"]
    done = subprocess.run(
        [*command, "-o", "json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    data = json.loads(done.stdout)
    assert (data["num_trials"], data["rungs"], data["hours"]) == (4, [2], None)
    assert {file.name for file in tmp_path.iterdir()} == {"recipe.yaml", "sweep.yaml"}


def test_planning_imports_no_ray_and_no_mlflow():
    code = (
        "import sys, sweeps.planning.plan, sweeps.planning.text;"
        "print([m for m in ('ray', 'mlflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
