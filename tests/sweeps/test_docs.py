"""docs/sweeps.md names everything that a sweep file may say, and every command there is."""

import re
from pathlib import Path
from typing import get_args

import pytest

from sweeps.cli import app
from sweeps.early_stopping import EarlyStoppingConfig
from sweeps.sections import Algorithm, BudgetConfig, ConfirmConfig, Cost, ResourcesConfig

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/sweeps.md").read_text()
README = (REPOSITORY / "README.md").read_text()
SECURITY = (REPOSITORY / "SECURITY.md").read_text()


@pytest.mark.parametrize(
    "words",
    [
        get_args(Algorithm),
        get_args(Cost),
        [*BudgetConfig.model_fields],
        [*ConfirmConfig.model_fields],
        list(EarlyStoppingConfig.model_fields),
        [name for name in ResourcesConfig.model_fields if name != "reuse_workers"],
        ["choice", "uniform", "loguniform", "quniform", "int", "logint", "grid", "value", "derive"],
    ],
    ids=["algorithms", "costs", "budget", "confirm", "early_stopping", "resources", "kinds"],
)
def test_the_page_names_every_key_of_a_section(words):
    in_code = " ".join(re.findall(r"`([^`]+)`", PAGE.replace("```", "`")))
    missing = [word for word in words if not re.search(rf"\b{word}\b", in_code)]
    assert missing == []


def test_the_tests_that_security_claims_rest_on_are_there():
    named = set(re.findall(r"`(tests/\S+\.py)`", SECURITY))
    assert len(named) > 5
    assert [file for file in named if not (REPOSITORY / file).exists()] == []


def test_readme_names_every_command():
    commands = [
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback is not None
    ]
    assert [name for name in commands if f"`sweeps {name}" not in README] == []
