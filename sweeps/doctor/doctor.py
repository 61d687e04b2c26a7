"""Every check of `sweeps doctor`, in the order in which they are told."""

from collections.abc import Iterator

from sweeps.doctor.finding import Finding, ok, problem
from sweeps.doctor.machine import (
    check_browser,
    check_gpus,
    check_open_files,
    check_shared_memory,
    check_versions,
    nvidia_gpus,
)
from sweeps.doctor.object_storage import check_object_store
from sweeps.doctor.ray_cluster import check_ray, is_private
from sweeps.doctor.storage import check_space, check_storage
from sweeps.home import storage_root
from sweeps.object_store import ObjectStore, is_address
from sweeps.sections import ResourcesConfig
from sweeps.spec import Sweep
from sweeps.tracking.store import tracking_uri
from sweeps.tracking.writable import NotWritable, try_store


def examine(sweep: Sweep | None) -> Iterator[Finding]:
    """Check one thing after the other.

    Args:
        sweep: Whose storage, tracking and resources are looked at; None: what a sweep has that says
            nothing of them.
    """
    resources = ResourcesConfig() if sweep is None else sweep.spec.resources
    gpus = nvidia_gpus()
    yield check_versions()
    yield from check_ray(resources, len(gpus))
    yield check_gpus(gpus, wanted=is_private() and resources.gpus_per_worker > 0)
    yield check_shared_memory()
    yield check_open_files()
    given = None if sweep is None else sweep.spec.storage.path
    if given is not None and is_address(given):
        yield check_object_store(ObjectStore(given))
    else:
        root = storage_root(given)
        yield check_storage(root)
        yield check_space(root, sweep)
    yield check_tracking(sweep)
    yield check_browser()


def check_tracking(sweep: Sweep | None) -> Finding:
    """Whether the tracking store takes what a sweep sends.

    Args:
        sweep: Whose store; None: that of a sweep that names none.
    """
    uri = tracking_uri(None if sweep is None else sweep.spec.tracking.uri)
    try:
        return ok("tracking", try_store(uri, None if sweep is None else sweep.spec.experiment_name))
    except NotWritable as error:
        return problem("tracking", str(error), error.fix)
