"""Faults on purpose (`tests/faults`): their moments come from one seed, their cost in a table."""

import random
import zlib
from pathlib import Path

import pytest

from tests.faults.table import Table

_TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-rows", type=Path, help="writes what the faults cost to this file")
    parser.addoption("--fault-seed", type=int, help="draws the moments again; random if not given")


def pytest_configure(config: pytest.Config) -> None:
    seed = config.getoption("fault_seed")
    config.stash[_TABLE] = Table(random.randrange(2**32) if seed is None else seed)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    table = config.stash[_TABLE]
    file = config.getoption("fault_rows")
    if file is not None:
        table.write(file)
    if table.rows:
        terminalreporter.section("faults")
        terminalreporter.write_line(f"moments drawn with --fault-seed {table.seed}\n")
        for line in table.lines():
            terminalreporter.write_line(line)


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Table:
    """Where a test says what it tried: ``with faults.trial("worker killed") as outcome:``."""
    return request.config.stash[_TABLE]


@pytest.fixture
def moments(request: pytest.FixtureRequest, faults: Table) -> random.Random:
    """Draws this test's random moments; the same ones again for the same ``--fault-seed``."""
    rng = random.Random(faults.seed ^ zlib.crc32(request.node.name.encode()))
    print(f"moments drawn with --fault-seed {faults.seed}")
    return rng
