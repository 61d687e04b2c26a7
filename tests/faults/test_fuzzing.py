"""Whatever stands in a file or an argument: a valid sweep, or its problems with their places."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from resnet_core.duration import Duration
from resnet_core.recipe import Recipe
from resnet_core.yaml_source import InvalidFile
from sweeps.cli import app
from sweeps.loading import load_sweep
from sweeps.space.derive import Expression
from tests.faults import hostile
from tests.faults.table import Table

pytestmark = [pytest.mark.faults, pytest.mark.slow]

FEW, MANY = 0.05, 1.0
share = pytest.mark.parametrize(
    "share",
    [pytest.param(FEW, marks=pytest.mark.faults_in_ci), pytest.param(MANY, marks=pytest.mark.fuzz)],
    ids=["few", "many"],
)


def fuzzing(num_cases: float) -> Callable[[Any], Any]:
    """The same cases each time, nothing written to disk; generating may be slow, checking too.

    Explaining a failure would trace every line of every case, ten times as slow.
    """
    return settings(
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        max_examples=round(num_cases), derandomize=True, database=None, deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    """A copy of the shipped files, of which the cases replace one."""
    return shutil.copytree(hostile.CONFIGS, tmp_path / "configs")


def check_places(error: InvalidFile, file: Path) -> None:
    """Every problem of a file is told with a line and column that the file has."""
    assert error.problems
    lines = file.read_bytes().decode("utf-8-sig", errors="replace").split("\n")
    for problem in error.problems:
        assert problem.message
        if problem.file == str(file):
            assert 1 <= problem.line <= len(lines)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        else:
            assert problem.file.startswith("--set ") or Path(problem.file).exists()


@share
def test_any_sweep_file_is_valid_or_its_problems_have_places(
    faults: Table, configs: Path, share: float
):
    file, again = configs / "sweeps/case.yaml", configs / "sweeps/again.yaml"

    @fuzzing(5_000 * share)
    @given(hostile.texts(hostile.SWEEPS))
    def check(raw: bytes) -> None:
        with faults.trial("hostile sweep file"):
            file.write_bytes(raw)
            try:
                sweep = load_sweep(file)
            except InvalidFile as error:
                check_places(error, file)
                return
            again.write_text(sweep.resolved_yaml())
            assert load_sweep(again).digest() == sweep.digest()

    check()


@share
def test_any_recipe_file_is_valid_or_its_problems_have_places(
    faults: Table, configs: Path, share: float
):
    file, again = configs / "recipes/case.yaml", configs / "recipes/again.yaml"

    @fuzzing(5_000 * share)
    @given(hostile.texts(hostile.RECIPES))
    def check(raw: bytes) -> None:
        with faults.trial("hostile recipe file"):
            file.write_bytes(raw)
            try:
                recipe = Recipe.from_yaml(file)
            except InvalidFile as error:
                check_places(error, file)
                return
            again.write_text(recipe.to_yaml())
            assert Recipe.from_yaml(again) == recipe
            assert all(recipe.advice())

    check()


@share
def test_a_sweep_over_any_recipe_is_valid_or_its_problems_have_places(
    faults: Table, configs: Path, share: float
):
    file, sweep = configs / "recipes/resnet18_digits.yaml", configs / "sweeps/learning_rate.yaml"

    @fuzzing(1_000 * share)
    @given(hostile.texts(hostile.RECIPES))
    def check(raw: bytes) -> None:
        with faults.trial("hostile recipe of a sweep"):
            file.write_bytes(raw)
            try:
                load_sweep(sweep)
            except InvalidFile as error:
                check_places(error, file)

    check()


@share
def test_the_command_line_takes_any_set_or_ends_with_status_2_and_the_set(
    faults: Table, configs: Path, share: float
):
    files = [str(path) for path in sorted((configs / "sweeps").glob("*.yaml"))]

    @fuzzing(500 * share)
    @given(st.sampled_from(files), st.lists(hostile.sets(), min_size=1, max_size=3))
    def check(file: str, sets: list[str]) -> None:
        with faults.trial("hostile --set"):
            arguments = [word for one in sets for word in ("--set", one)]
            done = CliRunner().invoke(app, ["validate", file, *arguments])
            assert done.exception is None or isinstance(done.exception, SystemExit)
            assert done.exit_code in (0, 2)
            if done.exit_code:
                assert done.stdout == ""
                assert done.stderr.strip()

    check()


@share
def test_any_duration_is_read_and_written_alike_or_refused(faults: Table, share: float):
    @fuzzing(2_000 * share)
    @given(st.one_of(hostile.DURATIONS, hostile.VALUES))
    def check(text: Any) -> None:
        with faults.trial("hostile duration"):
            try:
                length = Duration.parse(text)
            except ValueError:
                return
            assert Duration.parse(str(length)) == length
            if not length.is_time:
                assert length.steps(7, 70) >= 0

    check()


@share
def test_any_formula_has_a_value_that_a_recipe_can_hold_or_says_why_not(
    faults: Table, share: float
):
    values = {"seed": 3, "train_batch_size": 192, "max_duration": "90ep", "model.name": "resnet18"}

    @fuzzing(2_000 * share)
    @given(hostile.FORMULAS, st.dictionaries(st.sampled_from(list(values)), hostile.SCALARS))
    def check(text: str, others: dict[str, Any]) -> None:
        with faults.trial("hostile formula"):
            try:
                value = Expression.parse(text).compute({**values, **others}.get)
            except ValueError:  # it cannot be read, or computed
                return
            assert isinstance(value, int | float | str)
            if isinstance(value, str):
                assert str(Duration.parse(value)) == value

    check()
