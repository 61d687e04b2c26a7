import pytest

from tests.faults.table import Table


def fail(table: Table) -> None:
    with table.trial("worker killed") as outcome:
        outcome.points_lost, outcome.steps_repeated = 2, 5
        raise AssertionError


def test_a_fault_counts_as_tried_always_and_as_survived_only_without_an_exception():
    table = Table(seed=0)
    with table.trial("worker killed") as outcome:
        outcome.points_lost, outcome.steps_repeated, outcome.seconds = 1, 12, 3.25
    with pytest.raises(AssertionError):
        fail(table)
    with table.trial("disk full"):
        pass
    assert table.lines()[2:] == [
        "| worker killed | 2 | 1 | 3 | 12 | 3.2 |",
        "| disk full | 1 | 1 | 0 | - | - |",
    ]
