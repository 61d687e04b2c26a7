"""docs/json.md names every field that a command prints, and no other."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from tests.sweeps.finished_sweep import finished_sweep
from tests.sweeps.simulation import quick_disk

PAGE = (Path(__file__).parents[2] / "docs/json.md").read_text()
ANY_VALUE = ("keys[].a", "keys[].b")  # of a recipe: a list, a whole section
OTHER = "search: {algorithm: random, trials: 3, seed: 7}\n"


def documented(command: str) -> set[str]:
    """The fields in the table of a command's section."""
    (section,) = re.findall(rf"^## {command}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def fields(data: Any, known: set[str], path: str = "") -> set[str]:
    """The paths of everything in the data that has no parts; ``*`` for the names of a free map."""
    if path in ANY_VALUE or (path in known and path.endswith("*")):
        return {path}
    if isinstance(data, list):
        return {one for item in data for one in fields(item, known, f"{path}[]")}
    if not isinstance(data, dict):
        return {path}
    is_free = any(one == f"{path}.*" or one.startswith(f"{path}.*.") for one in known)
    return {
        one
        for key, value in data.items()
        for one in fields(value, known, ".".join(filter(None, (path, "*" if is_free else key))))
    }


@pytest.fixture
def printed(tmp_path, monkeypatch):
    """What a command prints about the storage of two sweeps, as data."""
    quick_disk(monkeypatch)
    finished_sweep(tmp_path)
    finished_sweep(tmp_path, "other", text=OTHER)

    def printed(*arguments: str) -> Any:
        storage = ["--storage", str(tmp_path / "results"), "-o", "json"]
        done = CliRunner().invoke(app, [*arguments, *storage], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        (line,) = done.stdout.splitlines()
        return json.loads(line)

    return printed


def disagreement(command: str, *outputs: Any) -> tuple[set[str], set[str]]:
    """Fields that are printed and not documented; documented and not printed."""
    known = documented(command)
    found = {one for output in outputs for one in fields(output, known)}
    # An object that may be null stands in the table itself, above its own fields.
    objects = {one for one in known if any(o.startswith((f"{one}.", f"{one}[")) for o in known)}
    return found - known, known - found - objects


def test_fields_of_ls(printed):
    assert disagreement("ls", printed("ls")) == (set(), set())


def test_fields_of_status(printed):
    outputs = (printed("status", "s"), printed("status", "other"))
    assert disagreement("status", *outputs) == (set(), set())


def test_fields_of_best(printed):
    status, best = printed("status", "s"), printed("best", "s")
    assert best["trial"].keys() == status["trials"][0].keys()
    beside = {key: best.pop(key) for key in ("trial", "advice", "recipe")}
    assert disagreement("best", beside) == (set(), set())
    assert best == {
        key: value for key, value in status.items() if key not in ("running", "tracking", "trials")
    }


def test_fields_of_compare(printed):
    outputs = (printed("compare", "s", "other"), printed("compare", "s/t0000", "other/t0001"))
    assert disagreement("compare", *outputs) == (set(), set())


def test_fields_of_card(printed):
    assert disagreement("card", printed("card")) == (set(), set())


def test_fields_of_doctor(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    done = CliRunner().invoke(app, ["doctor", "-o", "json"], catch_exceptions=False)
    data = json.loads(done.stdout)
    assert disagreement("doctor", data) == (set(), set())
    names = re.search(r"^\| `checks\[\]\.check` \| (.*) \|$", PAGE, re.MULTILINE)
    assert names is not None
    assert re.findall(r"`([^`]+)`", names[1]) == [one["check"] for one in data["checks"]]


def test_a_field_that_is_not_documented_would_be_found():
    assert disagreement("compare", {"kind": "trials", "new": {"field": 1}})[0] == {"new.field"}
