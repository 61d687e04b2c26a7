"""One side of a comparison, in a process and a home of its own, that leaves nothing behind."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).parent.parent
_LAST_SECONDS = 60
"""For a side to end by itself when the benchmark is interrupted."""
# Each side is as a user would start it: nothing outside decides on its Ray, MLflow or threads.
_DECIDED_ELSEWHERE = ("RAY_", "MLFLOW_", "TUNE_", "OMP_", "MKL_", "SWEEPS_")


@dataclass(frozen=True)
class Ran:
    """What a side printed on stdout, and its seconds from before its start to after its end."""

    output: str
    seconds: float


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A folder for sweeps, tracking database and checkpoints, gone afterwards."""
    with TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def run_alone(home: Path, *arguments: str | Path) -> Ran:
    """Run ``python -m ARGUMENTS`` to its end, with ``home`` as its `sweeps.storage.home`.

    Raises:
        RuntimeError: If it fails; with the end of what it wrote to stderr.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_DECIDED_ELSEWHERE)}
    environment["SWEEPS_HOME"] = str(home)
    os.sync()  # what the side before has written is not written back at this one's expense
    log = home / "stderr.log"
    with log.open("w") as stderr:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, arguments)],
            cwd=REPOSITORY,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        try:
            output, _ = process.communicate()
        except BaseException:
            process.terminate()
            try:
                process.communicate(timeout=_LAST_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            raise
        seconds = time.perf_counter() - started
    if process.returncode != 0:
        said = "\n".join(log.read_text().splitlines()[-30:])
        raise RuntimeError(f"{' '.join(map(str, arguments))}: exit {process.returncode}\n{said}")
    return Ran(output, seconds)
