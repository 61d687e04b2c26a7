import json
import subprocess
from importlib.metadata import distributions, version

import pytest

from sweeps import environment
from sweeps.environment import describe_environment, git_diff


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")

    def git(*arguments):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "train.py").write_text("rate = 1\n")
    git("add", ".")
    git("commit", "-qm", "first")
    return git


def test_the_commit_and_what_differs_from_it_are_told(repository, tmp_path):
    (tmp_path / "train.py").write_text("rate = 2\nuri = 'http://me:secret@host/'\n")
    repository("remote", "add", "origin", "https://me:secret@git.example/x")
    (tmp_path / "unknown.txt").write_text("not git's")
    found = json.loads(describe_environment())
    assert found["git"] == {"commit": repository("rev-parse", "HEAD"), "changed": True}
    diff = git_diff()
    assert "-rate = 1\n+rate = 2\n" in diff
    assert "http://***@host/" in diff
    assert "secret" not in diff
    assert "unknown" not in diff


def test_a_large_difference_is_cut_and_says_so(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "_LONGEST_DIFF", 200)
    (tmp_path / "train.py").write_text("x = 1\n" * 1000)
    start, _, end = git_diff().rpartition("\n")
    assert len(start) == 200
    assert end.startswith("... and ")


def test_outside_of_a_repository_there_is_no_difference(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert git_diff() == ""
    assert json.loads(describe_environment())["git"] == {"commit": None, "changed": False}


def test_the_environment_is_a_list_of_what_is_allowed(monkeypatch):
    for name in ("MLFLOW_TRACKING_PASSWORD", "HOME", "LOGNAME", "ANYTHING_AT_ALL"):
        monkeypatch.setenv(name, "hunter22hunter22")
    text = describe_environment()
    found = json.loads(text)
    assert list(found) == ["python", "platform", "cpus", "packages", "git", "gpus"]
    assert list(found["git"]) == ["commit", "changed"]
    assert "hunter22" not in text
    # Versions and nothing else: an address of where a package came from may hold a token.
    assert found["packages"] == {
        one.metadata["Name"]: one.version for one in distributions() if one.metadata["Name"]
    }


def test_every_package_is_listed_and_no_variable_of_the_environment(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    text = describe_environment()
    packages = json.loads(text)["packages"]
    assert packages["torch"] == version("torch")
    assert packages["PyYAML"] == version("pyyaml")
    assert "hunter2" not in text
