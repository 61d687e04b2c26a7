"""Of an object store that sweeps are kept in: whether what they need of it holds there."""

import uuid

from sweeps.doctor.finding import Finding, ok, problem
from sweeps.object_store import ObjectStore, StoreFailed

PROBE = ".sweeps-doctor-"
"""What the names of objects begin with that are gone at the end of a check."""
_FIX = (
    "set storage.path to a folder of a bucket that is there, and give this process credentials "
    "that may list, read, write and delete in it (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a "
    "role, GOOGLE_APPLICATION_CREDENTIALS)"
)


def check_object_store(store: ObjectStore) -> Finding:
    """Write, replace, list, read and remove an object there as a sweep does."""
    name = f"{PROBE}{uuid.uuid4().hex}"
    try:
        wrong = _try_out(store, name)
    except StoreFailed as error:
        return problem("storage", str(error), _FIX)
    if wrong:
        return problem("storage", f"{store.address}: {wrong}", _FIX)
    return ok("storage", f"{store.address}: writes, replaces, lists and removes as it should")


def _try_out(store: ObjectStore, name: str) -> str | None:
    store.write(name, b"old")
    try:
        store.write(name, b"new")
        if store.read(name) != b"new":
            return "what was written does not read back"
        if store.look(name) is None:
            return "what was written is not listed"
    finally:
        store.remove(name)
    return "what was removed is still there" if store.read(name) is not None else None
