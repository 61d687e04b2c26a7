"""What a sweep ran on: versions, commit, hardware; and the changes that no commit has.

Nothing of the environment's variables is read.
"""

import json
import os
import platform
import subprocess
from importlib.metadata import distributions

from resnet_core.credentials import without_assigned_credentials

_LONGEST_DIFF = 1_000_000
"""Characters; what is changed by more is no small change, and every driver sends it."""


def describe_environment() -> str:
    """The environment of this process as JSON text, for ``environment.json``."""
    description = {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "cpus": os.cpu_count(),
        "packages": _packages(),
        "git": {"commit": _git("rev-parse", "HEAD"), "changed": bool(_git("status", "--short"))},
        "gpus": _line("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
    }
    return json.dumps(description, indent=1)


def git_diff() -> str:
    """What differs from the commit in the files that git knows, for ``git.diff``; "" if nothing.

    At most a megabyte, which the last line then says. What is a secret or is named like one is left
    out.
    """
    diff = _run("git", "diff", "HEAD", "--no-color", "--no-ext-diff") or ""
    diff = without_assigned_credentials(diff)
    if len(diff) > _LONGEST_DIFF:
        diff = f"{diff[:_LONGEST_DIFF]}\n... and {len(diff) - _LONGEST_DIFF} more characters"
    return diff


def _packages() -> dict[str, str]:
    """Every installed distribution: name -> version."""
    found = {one.metadata["Name"]: one.version for one in distributions() if one.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _git(*arguments: str) -> str | None:
    return _line("git", *arguments)


def _line(*command: str) -> str | None:
    output = _run(*command)
    return None if output is None else output.strip()


def _run(*command: str) -> str | None:
    """The command's output, None where it is missing or fails (no git, no repository, no GPU)."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
