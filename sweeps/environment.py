"""What a sweep ran on: versions, commit, hardware. An allow-list, so no secret can slip in."""

import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("resnet-sweeps", "torch", "torchvision", "ray", "mlflow", "optuna", "numpy", "pydantic")


def describe_environment() -> str:
    """The environment of this process as JSON text, for ``environment.json``."""
    description = {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "cpus": os.cpu_count(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "git": {"commit": _git("rev-parse", "HEAD"), "changed": bool(_git("status", "--short"))},
        "gpus": _run("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
    }
    return json.dumps(description, indent=1)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    return _run("git", *arguments)


def _run(*command: str) -> str | None:
    """The command's output, None where it is missing or fails (no git, no repository, no GPU)."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
