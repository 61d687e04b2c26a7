"""The documentation: its Python blocks run as they stand, its tables say what the code says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from resnet_core.methods.section import MethodsConfig
from resnet_core.models.family import FAMILY
from resnet_core.recipe import Recipe
from resnet_core.schedule import SchedulesConfig

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/resnet_core.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "first_words"),
    [
        pytest.param("README.md", ["epoch 1", "epoch 2"], marks=pytest.mark.long),
        ("docs/resnet_core.md", ["11,173,962 parameters", "epoch 1", "epoch 2"]),
    ],
)
def test_the_python_block_of_a_page_trains_and_saves(page, first_words, tmp_path):
    (block,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / page).read_text(), re.DOTALL)
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        # One thread: two of them wait for each other where other tests have the second core.
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == first_words
    assert (tmp_path / "results/alone/latest/model.pt").exists()


def test_the_table_of_members_is_the_codes():
    rows = re.findall(r"^\| `(resnet\w+)` \|(.*)\|$", PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == list(FAMILY)
    for name, cells in rows:
        member = FAMILY[name]
        depth, block, parameters, multiply_adds, accuracies = (
            cell.strip() for cell in cells.split("|")
        )
        assert int(depth) == member.depth
        assert block == member.block
        assert int(parameters.replace(",", "")) == member.num_parameters
        assert float(multiply_adds) == member.giga_multiply_adds
        told = dict(re.findall(r"(\w+) ([\d.]+) %", accuracies))
        assert told == {of: f"{100 * top1:g}" for of, top1 in member.top1_accuracy.items()}


def backticked(section: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_]+)`", PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]))


def test_the_page_names_every_key_of_a_recipe_and_every_method():
    assert set(Recipe.model_fields) <= backticked("A recipe")
    assert set(SchedulesConfig.model_fields) <= backticked("A recipe")
    assert set(MethodsConfig.model_fields) <= backticked("Methods")
