"""What is wrong in a sweep file, as `load_sweep` and the command line tell it."""

import subprocess
import sys

import pytest

from tests.sweeps.sweep_file import DESIGN, HEAD, RECIPE


def test_what_yaml_readers_misread_is_read_as_written(load):
    sweep = load(
        "  optimizer.decoupled_sgdw.learning_rate: {choice: [1e-3, '1e-2', 5.e-1]}\n"
        "  seed: {choice: [012, 0o12, '7']}\n"
    )
    assert [domain.values for domain in sweep.space.sampled.values()] == [
        (0.001, 0.01, 0.5), (12, 10, 7),
    ]  # fmt: skip


def test_no_and_clock_times_are_text_and_refused_where_text_does_not_go(problems):
    found = problems(
        "  tf32: {choice: [no, true]}\n"
        "  seed: {choice: [1, 12:30]}\n"
        "  max_duration: {choice: [12:30, 6ep]}\n"
        "  model.name: no\n"
    )
    assert [one.split("; ")[0] for one in found[:3]] == [
        "sweep.yaml:6:19: space.tf32.choice[0]: must be true or false, got 'no'",
        "sweep.yaml:7:22: space.seed.choice[1]: must be a whole number, got '12:30'",
        "sweep.yaml:8:27: space.max_duration.choice[0]: cannot read '12:30' as a duration",
    ]
    assert found[3].startswith("sweep.yaml:9:15: space.model.name: must be 'resnet18', 'resnet34'")


@pytest.mark.parametrize(
    ("metric", "hint"),
    [("accuracy", "val_accuracy"), ("val_acuracy", "val_accuracy"), ("loss", "val_loss")],
)
def test_a_metric_that_nothing_produces_names_those_there_are(problems, metric, hint):
    (found,) = problems(DESIGN + f"objective: {{metric: {metric}}}\n")
    assert found == (
        "sweep.yaml:14:21: objective.metric: must be 'val_accuracy', 'val_loss', "
        "'val_cross_entropy', 'val_top5_accuracy' or 'train_loss', got "
        f"'{metric}'; did you mean '{hint}'?"
    )


def test_a_rung_without_a_unit_is_refused(problems):
    (found,) = problems(DESIGN + "early_stopping: {asha: {grace_period: 2}}\n")
    assert found.startswith("sweep.yaml:14:39: early_stopping.asha.grace_period: 2 has no unit")


def test_constraints_that_cannot_be_read_are_told_one_by_one(problems):
    assert problems(DESIGN + "constraints: [parameters <= 30m, flop <= 5e9, flops <= 5e9]\n") == [
        "sweep.yaml:14:15: constraints[0]: unknown unit 'm' of parameters; allowed: k, M, G, T; "
        "did you mean 'M'?",
        "sweep.yaml:14:34: constraints[1]: unknown quantity 'flop'; allowed: parameters, flops, "
        "training_flops, activation_bytes; did you mean 'flops'?",
    ]


def test_a_sweep_that_extends_itself_is_a_circle(problems):
    (found,) = problems(DESIGN, head=HEAD.replace("recipe.yaml", "sweep.yaml"))
    assert found == (
        "sweep.yaml:3:10: extends: goes in a circle: sweep.yaml -> sweep.yaml; name a recipe file"
    )


def test_a_circle_of_two_files_is_told_whole(problems, tmp_path):
    (tmp_path / "b.yaml").write_text(HEAD.replace("recipe.yaml", "sweep.yaml") + DESIGN)
    (found,) = problems(DESIGN, head=HEAD.replace("recipe.yaml", "b.yaml"))
    assert found == (
        "sweep.yaml:3:10: extends: goes in a circle: sweep.yaml -> b.yaml -> sweep.yaml; "
        "name a recipe file"
    )


def test_a_recipe_extends_nothing(problems):
    assert problems(recipe="extends: base.yaml\n" + RECIPE) == [
        "recipe.yaml:1:1: extends: a recipe extends no other; write its keys out"
    ]


def test_a_recipe_that_extends_itself_is_a_circle(problems):
    assert problems(recipe="extends: recipe.yaml\n" + RECIPE) == [
        "sweep.yaml:3:10: extends: goes in a circle: sweep.yaml -> recipe.yaml -> recipe.yaml; "
        "name a recipe file"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["sweep.yaml:1:1: the file is empty"]),
        ("# nothing yet\n", ["sweep.yaml:1:1: the file is empty"]),
        (HEAD + "  seed: {int: [1, 2]}\n  seed: {int: [3, 4]}\n",
         ["sweep.yaml:7:3: space.seed: duplicate key; it stands already in line 6"]),
        (HEAD + "  seed:\n    int:\t[1, 2]\n",
         ["sweep.yaml:7:9: a tab; YAML is indented with spaces"]),
        (HEAD + DESIGN + "serch: {}\n",
         ["sweep.yaml:14:1: serch: unknown key; allowed: "]),
    ],
    ids=["empty", "comment only", "equal keys", "tab", "unknown key"],
)  # fmt: skip
def test_a_file_that_is_wrong_ends_with_status_2_and_only_its_problems(tmp_path, text, expected):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "sweep.yaml").write_text(text)
    command = [sys.executable, "-m", "sweeps", "validate", "sweep.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) == len(expected)
    assert all(map(str.startswith, lines, expected))


def test_a_space_of_more_keys_than_a_recipe_has_is_refused_whole(problems):
    (found,) = problems("".join(f"  k{i}: 1\n" for i in range(201)))
    assert found == "sweep.yaml:6:3: space: must have at most 200 entries, got 201"


def test_of_one_key_twenty_wrong_values_are_told(problems):
    values = ", ".join(f"resnet{i}" for i in range(200, 500))
    found = problems(f"  model.name: {{choice: [resnet18, {values}]}}\n")
    assert len(found) == 20
    assert found[0].startswith("sweep.yaml:6:35: space.model.name.choice[1]: must be 'resnet18'")


def test_a_hundred_constraints_are_enough(problems):
    constraints = ", ".join(["parameters <= 3M"] * 101)
    (found,) = problems(DESIGN + f"constraints: [{constraints}]\n")
    assert found.endswith("constraints: must have at most 100 entries, got 101")


def test_what_is_wrong_in_a_space_is_told_all_at_once(problems):
    found = problems(
        "  seed: {int: [9, 1]}\n"
        "  schedule_scale: {loguniform: [0, 1]}\n"
        "  train_batch_size: {derive: 64 / sed}\n"
        "  tf32: {choise: [true]}\n"
        "  model.nam: resnet18\n"
        "  max_duration: 6\n"
        "  precision: {choice: [fp32, bf61]}\n"
    )
    assert [int(one.split(":")[1]) for one in found] == [6, 7, 8, 9, 10, 11, 12]
    assert "did you mean 'choice'" in found[3]
    assert "did you mean 'model.name'" in found[4]
    assert "did you mean 'bf16'" in found[6]
