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


def test_what_two_sessions_have_written_is_one_table(tmp_path):
    for name, steps in (("a", 3), ("b", 7)):
        table = Table(seed=5)
        with table.trial("worker killed") as outcome:
            outcome.steps_repeated = steps
        table.write(tmp_path / name)
    both = Table.read([tmp_path / "a", tmp_path / "b"])
    assert both.seed == 5
    assert both.lines()[2:] == ["| worker killed | 2 | 2 | 0 | 7 | - |"]
