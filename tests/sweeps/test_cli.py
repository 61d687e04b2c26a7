"""The command line in processes of its own: exit status, stdout and stderr."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.sweeps.finished_sweep import finished_sweep
from tests.sweeps.sweep_file import DESIGN, HEAD, RECIPE

TRIALS = "search: {algorithm: random, trials: 3, seed: 5}\n"


@pytest.fixture
def sweeps(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "sweep.yaml").write_text(HEAD + DESIGN)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sweeps", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_a_valid_file_is_said_to_be_valid(sweeps):
    done = sweeps("validate", "sweep.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sweep.yaml: valid\nquick: 12 trials over model.name, ")


def test_what_validate_prints_as_json_is_the_resolved_sweep(sweeps, tmp_path):
    data = json.loads(sweeps("validate", "sweep.yaml", "-o", "json", "--set", "seed=5").stdout)
    assert data["recipe"]["seed"] == 5
    (tmp_path / "again.yaml").write_text(json.dumps(data))  # JSON is YAML
    assert json.loads(sweeps("validate", "again.yaml", "-o", "json").stdout) == data


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_wrong_file_ends_with_status_2_every_problem_on_stderr_and_nothing_made(
    sweeps, tmp_path, command
):
    (tmp_path / "sweep.yaml").write_text(
        HEAD.replace("version: 1", "version: 3") + "  sed: {int: [1, 9]}\n"
    )
    done = sweeps(command, "sweep.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["sweep.yaml:1:10", "sweep.yaml:6:3"]
    assert "did you mean 'seed'" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("command", ["status", "best", "resume"])
def test_a_name_that_is_not_there_ends_with_status_6(sweeps, command):
    done = sweeps(command, "quick")
    assert (done.returncode, done.stdout) == (6, "")
    assert "no sweep 'quick'" in done.stderr


@pytest.mark.parametrize(
    ("sides", "status", "told"),
    [
        (("t", "s"), 6, "no sweep 't' in "),
        (("ss", "s"), 6, "did you mean 's'?"),
        (("s/t0000", "s/t000"), 6, "s has no trial 't000'; did you mean t000"),
        (("s/t0000", "s"), 2, "two trials (compare digits/t0000 digits/t0007), or two sweeps"),
    ],
)
def test_what_cannot_be_compared_is_told_on_stderr(sweeps, tmp_path, sides, status, told):
    finished_sweep(tmp_path, text=TRIALS)
    done = sweeps("compare", *sides)
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr


def test_values_after_different_numbers_of_epochs_are_compared_with_a_warning(sweeps, tmp_path):
    _, folder = finished_sweep(tmp_path)
    stopped = next(row.id for row in folder.read_records() if row.status == "stopped_early")
    warning = "mind: values after different numbers of epochs do not compare\n"
    assert sweeps("compare", "s/t0000", f"s/{stopped}").stdout.endswith(warning)
    assert sweeps("compare", "s", "s").stdout == "no key differs\nno result differs\n"


def test_ls_shows_the_newest_sweep_first_and_what_cannot_be_read_on_stderr(sweeps, tmp_path):
    for started_at, name in enumerate(("oldest", "older", "newest")):
        _, folder = finished_sweep(tmp_path, name, text=TRIALS)
        folder.write_state(replace(folder.read_state(), started_at=float(started_at)))
    (tmp_path / "results/older/state.json").write_text('{"of": "another version"}')
    done = sweeps("ls", "-o", "json")
    assert done.returncode == 0
    assert [one["sweep"] for one in json.loads(done.stdout)] == ["newest", "oldest"]
    (told,) = done.stderr.splitlines()
    assert told.startswith(f"{tmp_path}/results/older cannot be read: ")
    table = sweeps("ls").stdout
    assert table.index("newest") < table.index("oldest")


def test_ls_of_a_storage_without_sweeps_is_an_empty_list(sweeps):
    done = sweeps("ls", "-o", "json")
    assert (done.returncode, done.stdout) == (0, "[]\n")


def test_help_and_validate_import_neither_torch_nor_ray_nor_mlflow():
    code = (
        "import sys, sweeps.cli, sweeps.answer.report, sweeps.answer.results, sweeps.spec;"
        "print([m for m in ('torch', 'ray', 'mlflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_driver_without_models_to_measure_imports_no_torch():
    script = "import sys, sweeps.launch, sweeps.trial; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_train_prints_an_epoch_a_line_and_goes_on_from_its_checkpoints(sweeps):
    train = ["train", "recipe.yaml", "-o", "json", "--checkpoints", "saved"]
    train += ["--set", "data={fake: {num_train: 16, num_evaluation: 8, image_size_px: 8}}"]
    train += ["--set", "train_batch_size=16", "--set", "model.initial_stem=cifar"]
    done = sweeps(*train, "--set", "max_duration=2ep")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 1), (2, 2)]

    again = sweeps(*train, "--set", "max_duration=2ep")
    assert (again.returncode, again.stdout) == (0, "")  # there was nothing left to train
    other = sweeps(*train, "--set", "max_duration=3ep")
    assert other.returncode == 2
    assert "is a checkpoint of another recipe" in other.stderr
