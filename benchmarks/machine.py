"""What a benchmark ran on, as the first line of what it prints."""

import os
import platform
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("torch", "ray", "mlflow", "optuna")


def describe_machine() -> dict[str, Any]:
    """Date, processor, memory, versions, and how busy the machine is already."""
    return {
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _PACKAGES},
        "load_average": round(os.getloadavg()[0], 2),  # of the last minute, in processes
    }


def machine_line(machine: dict[str, Any]) -> str:
    """`describe_machine` in one line."""
    versions = ", ".join(f"{name} {text}" for name, text in machine["versions"].items())
    return (
        f"{machine['date']}, {machine['cpus']} CPUs ({machine['processor']}), "
        f"{machine['memory_gib']} GiB, Python {machine['python']}, {versions}; "
        f"load average before it began {machine['load_average']:.2f}"
    )


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    if file.exists():
        for line in file.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
