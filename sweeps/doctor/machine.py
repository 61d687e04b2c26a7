"""Of this machine: versions, GPUs, shared memory, open files, the browser for pictures."""

import platform
import resource
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from sweeps.doctor.finding import Finding, ok, problem, warning

PACKAGE = "resnet-sweeps"
_SHOWN = ("torch", "torchvision", "ray", "mlflow")
_MEGABYTE, _GIGABYTE = 1e6, 1e9
DOCKERS_SHARED_MEMORY = 64 * 2**20
"""Bytes that a container gets unless told otherwise."""
_LITTLE_SHARED_MEMORY = 1e9
_FEW_FILES, _TOO_FEW_FILES = 1024, 256


def check_versions(package: str = PACKAGE) -> Finding:
    """Whether what is installed is what the package asks for."""
    try:
        asked = [Requirement(one) for one in requires(package) or ()]
    except PackageNotFoundError:
        return warning(
            "versions",
            f"{package} is not installed, so nothing says which versions it needs",
            "make setup, or pip install -e '.[sweeps]'",
        )
    needed = [
        one for one in asked if one.marker is None or one.marker.evaluate({"extra": "sweeps"})
    ]
    wrong = [text for one in needed if (text := _unmet(one))]
    if wrong:
        return problem(
            "versions", "; ".join(wrong), "make setup, which installs what requirements.lock says"
        )
    shown = [f"{name} {version(name)}" for name in _SHOWN if name in {one.name for one in needed}]
    return ok("versions", ", ".join([f"Python {platform.python_version()}", *shown]))


def _unmet(asked: Requirement) -> str | None:
    try:
        found = version(asked.name)
    except PackageNotFoundError:
        return f"{asked.name} is missing"
    if asked.specifier.contains(found, prereleases=True):
        return None
    return f"{asked.name} is {found}, not {asked.specifier}"


def nvidia_gpus() -> list[str]:
    """Name and driver of each GPU; empty without a GPU or its driver."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def check_gpus(gpus: list[str], *, wanted: bool) -> Finding:
    """Whether torch can use the GPUs that the driver sees.

    Args:
        gpus: As `nvidia_gpus` names them.
        wanted: Whether trials of the sweep get one on this machine.
    """
    if not gpus:
        if not wanted:
            return ok("gpu", "none here: training runs on the CPU")
        return problem(
            "gpu",
            "resources.gpus_per_worker asks for GPUs, and nvidia-smi sees none here",
            "install the driver (in a container: start it with --gpus all), set RAY_ADDRESS to a "
            "cluster that has them, or set resources.gpus_per_worker to 0",
        )
    named = ", driver ".join(gpus[0].split(", ")) + (
        f" (and {len(gpus) - 1} more)" * (len(gpus) > 1)
    )
    import torch

    if torch.cuda.is_available():
        return ok("gpu", f"{named}; torch with CUDA {torch.version.cuda}")
    if torch.version.cuda is None:
        return problem(
            "gpu",
            f"{named}, but torch {torch.__version__} is built for CPUs only",
            "install a torch that is built for CUDA: make setup",
        )
    return problem(
        "gpu",
        f"{named}, but torch cannot use it: it is built for CUDA {torch.version.cuda}",
        "update the driver to one that supports that CUDA version (nvidia-smi names the newest "
        "that it supports), and look whether CUDA_VISIBLE_DEVICES hides the GPU",
    )


def check_shared_memory(path: Path = Path("/dev/shm")) -> Finding:
    """Whether Ray's object store and the loaders' processes have room to hand over data."""
    fix = "give the container more: docker run --shm-size=8g, or shm_size in compose.yaml"
    if not path.is_dir():
        return ok("shared memory", f"no {path} on this system: Ray keeps its objects on disk")
    usage = shutil.disk_usage(path)
    sizes = f"{path} has {_size(usage.free)} free of {_size(usage.total)}"
    if usage.total <= DOCKERS_SHARED_MEMORY:
        return problem(
            "shared memory", f"{sizes}: loader processes die of a bus error, Ray turns to disk", fix
        )
    if usage.free < _LITTLE_SHARED_MEMORY:
        return warning("shared memory", f"{sizes}: Ray keeps its objects on disk", fix)
    return ok("shared memory", sizes)


def check_open_files() -> Finding:
    """Whether a process may open as many files and connections as a driver or a raylet does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _FEW_FILES:
        return ok("open files", f"{'no limit' if soft == resource.RLIM_INFINITY else soft}")
    tell = problem if soft < _TOO_FEW_FILES else warning
    more = "65536" if hard == resource.RLIM_INFINITY else min(hard, 65536)
    return tell("open files", f"a process may open {soft}", f"ulimit -n {more}, before the sweep")


def check_browser() -> Finding:
    """Whether a report's figures can be drawn as PNG; the page itself needs no browser here."""
    from choreographer.browsers.chromium import Chromium

    found = Chromium.find_browser(skip_local=False)
    if found:
        return ok("figures", f"as PNG with {found}")
    return warning(
        "figures",
        "no Chrome or Chromium: the report has its figures, but no PNG files beside it",
        "install chromium, if you want them",
    )


def _size(num_bytes: float) -> str:
    if num_bytes < _GIGABYTE:
        return f"{num_bytes / _MEGABYTE:.0f} MB"
    return f"{num_bytes / _GIGABYTE:.1f} GB"
