"""Asking a driver to end, by a file that it and only it must see."""

import threading
from pathlib import Path

import pytest

from sweeps import cancel, driver_lock, lease, mirror
from sweeps.interrupts import Interrupts
from sweeps.object_store import ObjectStore
from sweeps.storage import SweepFolder
from tests.object_storage import s3_folder


def test_what_an_earlier_driver_was_asked_is_forgotten(tmp_path: Path):
    folder = SweepFolder(tmp_path / "digits")
    folder.path.mkdir()
    (folder.path / driver_lock.NAME).touch()  # of a driver that was killed
    cancel.request(folder)
    with folder.locked():
        cancel.forget_earlier(folder)
        assert not (folder.path / "cancel").exists()


def test_what_is_asked_while_a_driver_starts_is_seen_by_it(tmp_path: Path):
    folder = SweepFolder(tmp_path / "digits")
    interrupts = Interrupts()
    seen = threading.Event()
    interrupts.cancel = seen.set
    with folder.locked():
        cancel.request(folder)
        cancel.forget_earlier(folder)
        with cancel.watching(folder, interrupts):
            assert seen.wait(20)
    assert not (folder.path / "cancel").exists()


def await_the_next_tick(store: ObjectStore, name: str) -> None:
    """Until what is written has a later date than an object, by the store's clock."""
    before, now = store.look(name), None
    while before is not None and (now is None or now.changed_ns <= before.changed_ns):
        store.write("clock", b"")
        now = store.look("clock")
    store.remove("clock")


def test_in_a_bucket_what_is_asked_while_a_driver_starts_is_seen_and_what_was_before_is_not(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 0.1)
    with s3_folder() as address:
        here, elsewhere = mirror.Mirror(address), mirror.Mirror(address)
        driver, other = (SweepFolder(one.root / "digits") for one in (here, elsewhere))
        other.path.mkdir()
        cancel.request(other)
        await_the_next_tick(here.store, "digits/cancel")
        with driver.locked():
            cancel.forget_earlier(driver)
            assert here.store.look("digits/cancel") is None
            cancel.request(other)
            cancel.forget_earlier(driver)
            assert here.store.look("digits/cancel") is not None
            interrupts, seen = Interrupts(), threading.Event()
            interrupts.cancel = seen.set
            with cancel.watching(driver, interrupts):
                assert seen.wait(20)
        assert here.store.listed() == []
        here.close()
        elsewhere.close()
