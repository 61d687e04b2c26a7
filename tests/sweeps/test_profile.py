"""Profiles: what they say goes before the sweep file, and `--set` before both."""

from pathlib import Path

import pytest

from resnet_core.problems import InvalidFile
from sweeps.cli_options import read_sweep
from sweeps.profile import load_profile
from tests.sweeps.sweep_file import DESIGN, HEAD, RECIPE

CONFIGS = Path(__file__).parents[2] / "configs"
PROFILES = sorted(file.stem for file in (CONFIGS / "profiles").glob("*.yaml"))
RESOURCES = "resources: {workers_per_trial: 2, max_concurrent_trials: 3}\n"


@pytest.fixture
def sweep_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep in ``sweeps/``, beside ``profiles/`` with a profile ``team``."""
    monkeypatch.chdir(tmp_path)  # away from the profiles that are shipped
    for folder in ("sweeps", "profiles"):
        (tmp_path / folder).mkdir()
    (tmp_path / "sweeps/recipe.yaml").write_text(RECIPE)
    (tmp_path / "profiles/team.yaml").write_text(
        "version: 1\n"
        "resources: {gpus_per_worker: 1, max_concurrent_trials: auto, hang_timeout: 5min}\n"
        "storage: {path: /data/sweeps}\n"
        "tracking: {uri: 'http://mlflow:5000'}\n"
    )
    file = tmp_path / "sweeps/sweep.yaml"
    file.write_text(HEAD.replace("space:", f"{RESOURCES}space:") + DESIGN)
    return file


def test_a_profile_goes_before_the_file_and_leaves_what_it_does_not_name(sweep_file):
    spec = read_sweep(sweep_file, None, "team").spec
    assert (spec.resources.gpus_per_worker, spec.resources.max_concurrent_trials) == (1, "auto")
    assert spec.resources.hang_seconds == 300
    assert spec.resources.workers_per_trial == 2  # the file's
    assert spec.resources.cpus_per_worker == 1  # the default
    assert (spec.storage.path, spec.tracking.uri) == ("/data/sweeps", "http://mlflow:5000")


def test_a_set_goes_before_the_profile(sweep_file):
    spec = read_sweep(sweep_file, ["resources.gpus_per_worker=0.5", "storage.path=x"], "team").spec
    assert (spec.resources.gpus_per_worker, spec.storage.path) == (0.5, "x")
    assert spec.resources.max_concurrent_trials == "auto"


def test_a_profile_is_found_from_within_the_folder_of_the_sweeps(sweep_file, monkeypatch):
    monkeypatch.chdir(sweep_file.parent)
    assert read_sweep(Path("sweep.yaml"), None, "team").spec.storage.path == "/data/sweeps"


def test_a_profile_may_be_a_path(sweep_file, tmp_path):
    elsewhere = tmp_path / "mine.yaml"
    elsewhere.write_text("version: 1\nresources: {cpus_per_worker: 4}\n")
    spec = read_sweep(sweep_file, None, str(elsewhere)).spec
    assert (spec.resources.cpus_per_worker, spec.resources.max_concurrent_trials) == (4, 3)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("teem", "", "--profile teem: no profile of this name; did you mean 'team'?; there: team"),
        ("mine", "version: 1\nresources: {gpus_per_workers: 1}\n",
         "mine.yaml:2:13: resources.gpus_per_workers: unknown key; allowed: workers_per_trial, "),
        ("mine", "version: 1\nsearch: {trials: 3}\n",
         "mine.yaml:2:1: search: unknown key; allowed: version, resources, storage, tracking, "
         "submit"),
        ("mine", "version: 1\nsubmit: {address: 'http://me:secret@ray:8265'}\n",
         "mine.yaml:2:19: submit.address: an address with a password in it; set RAY_AUTH_TOKEN "
         "instead"),
    ],
    ids=["name", "key", "section", "password"],
)  # fmt: skip
def test_what_is_wrong_with_a_profile_is_said_with_its_place(sweep_file, name, text, expected):
    if text:
        (sweep_file.parent.parent / f"profiles/{name}.yaml").write_text(text)
    with pytest.raises(InvalidFile) as caught:
        load_profile(name, sweep_file)
    assert expected in str(caught.value)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_shipped_sweep_is_valid_with_every_shipped_profile(profile):
    for file in sorted((CONFIGS / "sweeps").glob("*.yaml")):
        spec = read_sweep(file, None, profile).spec
        assert spec.resources.max_concurrent_trials == "auto"
