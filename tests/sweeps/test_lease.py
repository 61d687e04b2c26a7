"""One driver at a time, where nothing can be locked."""

import threading
from collections.abc import Iterator

import pytest

from sweeps import lease
from sweeps.object_store import ObjectStore
from tests.object_storage import s3_folder

NAME = "digits/driver.lock"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 2.0)
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 0.5)
    with s3_folder() as address:
        yield ObjectStore(address)


def test_nobody_else_gets_what_is_held_and_everybody_what_is_not(store):
    with lease.holding(store, NAME) as first, lease.holding(store, NAME) as second:
        assert (first, second, lease.is_held(store, NAME)) == (True, False, True)
    assert store.listed() == []
    assert not lease.is_held(store, NAME)
    with lease.holding(store, NAME) as third:
        assert third


def test_of_drivers_that_come_at_once_one_goes_on(store):
    got, over = [], threading.Barrier(6)

    def drive() -> None:
        with lease.holding(store, NAME) as is_ours:
            got.append(is_ours)
            over.wait()

    drivers = [threading.Thread(target=drive) for _ in range(5)]
    for driver in drivers:
        driver.start()
    over.wait()
    for driver in drivers:
        driver.join()
    assert sorted(got) == [False, False, False, False, True]


def test_what_a_killed_driver_held_is_free_once_it_was_silent_for_long(store):
    store.write(NAME, b'{"holder": "killed", "beat": 7}')
    with lease.holding(store, NAME) as is_ours:
        assert is_ours


def test_whoever_finds_another_name_in_the_lock_leaves_and_does_not_free_it(store):
    lost = threading.Event()
    with lease.holding(store, NAME, lost.set):
        store.write(NAME, b'{"holder": "another", "beat": 0}')
        assert lost.wait(20)
    assert store.read(NAME) == b'{"holder": "another", "beat": 0}'
