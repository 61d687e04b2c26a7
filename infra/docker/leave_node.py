"""Let this Ray node leave in order: SIGTERM to its ``ray start --block``, and wait for its end.

Kubernetes runs this before it ends a pod. Without it KubeRay runs ``ray stop``, which signals Ray's
own processes and leaves the workers no time to write the step they are in.
"""

import sys

import psutil

_WAIT_SECONDS = 90.0  # below terminationGracePeriodSeconds of the pods


def started_by() -> list[psutil.Process]:
    """The ``ray start --block`` of this container."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        # A shell that has it in its own command line must not be taken for it.
        at = next(
            (i for i, word in enumerate(words) if word.endswith("/ray") or word == "ray"), None
        )
        if at is not None and words[at + 1 : at + 2] == ["start"] and "--block" in words:
            found.append(process)
    return found


def leave() -> int:
    """Exit status: 0 if it is gone, 1 if there was none or it did not end in time."""
    processes = started_by()
    for process in processes:
        process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=_WAIT_SECONDS)
    return 0 if processes and not alive else 1


if __name__ == "__main__":
    sys.exit(leave())
