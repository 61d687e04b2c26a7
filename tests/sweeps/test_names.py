"""Names from files and from the command line stay within the folder that holds all sweeps."""

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.names import InvalidName, check_name
from tests.sweeps.finished_sweep import finished_sweep
from tests.sweeps.sweep_file import DESIGN, HEAD

OUTSIDE = [
    "../secret", "..", ".", "/etc", "a/b", "a\\b", "", " ", "-x", "a" * 65, "é", "a\x00", "a\n",
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE, ids=repr)
def test_what_could_leave_its_folder_is_no_name(name):
    with pytest.raises(InvalidName, match="names no folder"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "7", "digits-2.1_b", "a..b", "A" * 64])
def test_letters_digits_dots_dashes_and_underscores_are_a_name(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["../x", "a/b", "'.'"])
def test_a_file_names_neither_sweep_nor_experiment_outside(problems, name):
    head = HEAD.replace("name: quick", f"name: {name}")
    (found,) = problems(DESIGN + f"tracking: {{experiment: {name}}}\n")
    assert found.startswith("sweep.yaml:14:24: tracking.experiment: ")
    (found,) = problems(DESIGN, head=head)
    assert found.startswith("sweep.yaml:2:7: name: ")
    assert "names no folder" in found


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A storage, and beside it a sweep that no name of the storage may lead to."""
    root = tmp_path_factory.mktemp("root")
    for name in ("results", "elsewhere"):
        (root / name).mkdir()
    finished_sweep(root / "elsewhere")
    return root


@pytest.mark.parametrize(
    "command",
    [
        "status {}", "status {} -o json", "best {}", "report {}", "card {}", "compare {} {}",
        "resume {}", "extend {} --trials 1", "retry {} --failed", "confirm {}", "cancel {}",
        "rerun {}/t0001 --set seed=1", "status {}/../s",
    ],
)  # fmt: skip
def test_no_command_follows_a_name_out_of_the_storage(elsewhere, command):
    def files():
        return {path: path.stat().st_mtime_ns for path in elsewhere.rglob("*")}

    before = files()
    arguments = command.format(*["../elsewhere/results/s"] * 2).split()
    done = CliRunner().invoke(app, [*arguments, "--storage", str(elsewhere / "results")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "names no folder" in done.stderr
    assert files() == before


def test_a_trial_with_slashes_is_no_trial(elsewhere):
    storage = ["--storage", str(elsewhere / "elsewhere/results")]
    pair = ["s/t0000", "s/../../t0001"]
    done = CliRunner().invoke(app, ["compare", *pair, *storage])
    assert (done.exit_code, done.stdout) == (6, "")
    assert "s has no trial '../../t0001'" in done.stderr
