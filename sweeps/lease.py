"""The lock of a sweep in an object store: an object that its holder writes anew every few seconds.

Stores do not lock, and not all of them refuse to replace what is there. So a driver waits until it
has seen that nobody writes, writes its own name, and looks a moment later whether it still stands
there: of two that come at once the later one to write goes on. Only a driver whose write takes
longer than that moment to arrive could be overlooked. One that finds another's name in the object,
having been cut off from the store for so long that it was given up, ends at once.
"""

import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sweeps.object_store import ObjectStore

BEAT_SECONDS = 5.0
PATIENCE_SECONDS = 30.0
"""Whoever has not written for so long is gone."""
SETTLE_SECONDS = 2.0
_LOST = 3


def leave_at_once() -> None:
    """What a driver does that another one has taken for dead: nothing more, and write nothing."""
    print("another driver has taken this sweep over; it goes on there", file=sys.stderr, flush=True)
    os._exit(_LOST)


@contextmanager
def holding(
    store: ObjectStore, name: str, when_lost: Callable[[], object] = leave_at_once
) -> Iterator[bool]:
    """Hold the lock for the block, if it can be had; yields whether it could.

    Args:
        store: Where the lock lies.
        name: Of the object.
        when_lost: Called, in a thread, once another driver holds it.
    """
    holder = uuid.uuid4().hex
    if not _take(store, name, holder):
        yield False
        return
    done = threading.Event()
    thread = threading.Thread(
        target=_keep, args=(store, name, holder, done, when_lost), name="lease", daemon=True
    )
    thread.start()
    try:
        yield True
    finally:
        done.set()
        thread.join()
        with suppress(OSError):  # out of reach: it is free once nobody has written it for long
            if _holder(store.read(name)) == holder:
                store.remove(name)


def is_held(store: ObjectStore, name: str) -> bool:
    """Whether a driver holds it; one that was killed still does for `PATIENCE_SECONDS`."""
    found = store.look(name)
    # The store's clock and this machine's are taken to agree.
    return found is not None and time.time() - found.changed_ns / 1e9 < PATIENCE_SECONDS


def _take(store: ObjectStore, name: str, holder: str) -> bool:
    before, deadline = store.read(name), time.monotonic() + PATIENCE_SECONDS
    while before is not None and time.monotonic() < deadline:
        time.sleep(BEAT_SECONDS / 2)
        now = store.read(name)
        if now is not None and now != before:
            return False
        if now is None:
            break
    _write(store, name, holder, 0)
    time.sleep(SETTLE_SECONDS)
    return _holder(store.read(name)) == holder


def _keep(
    store: ObjectStore, name: str, holder: str, done: threading.Event,
    when_lost: Callable[[], object],
) -> None:  # fmt: skip
    beat = 0
    while not done.wait(BEAT_SECONDS):
        with suppress(OSError):  # out of reach: tried again
            found = _holder(store.read(name))
            if found not in (holder, None):
                when_lost()
                return
            beat += 1
            _write(store, name, holder, beat)


def _write(store: ObjectStore, name: str, holder: str, beat: int) -> None:
    store.write(name, json.dumps({"holder": holder, "beat": beat}).encode())


def _holder(content: bytes | None) -> str | None:
    return None if content is None else json.loads(content)["holder"]
