"""A trial's epochs on disk: one line per epoch, appended by rank 0, read by everybody else.

The file is the trial's own history: the terminal's table, the searcher's and the stopping rule's
memory after a restart, and what is shipped to MLflow all come from it. Each line carries its CRC,
so a damaged one is seen, told of and left out; one torn by a killed worker gives way to the next.
An epoch that a resumed trial repeats is written once.
"""

import fcntl
import json
import logging
import os
import time
import zlib
from functools import cache
from pathlib import Path
from typing import Any

FILE_NAME = "metrics.jsonl"

_LOG = logging.getLogger(__name__)


class Spool:
    """The history of one trial, in its folder."""

    def __init__(self, trial_folder: Path) -> None:
        self.path = trial_folder / FILE_NAME

    def read(self, *, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Read the epochs from a byte offset on.

        Args:
            offset: Where an earlier read ended, in bytes; 0 is the beginning.

        Returns:
            The points in the order written, and the offset behind the last whole line.
        """
        if not self.path.exists():
            return [], offset
        with self.path.open("rb") as file:
            file.seek(offset)
            lines = file.read().splitlines(keepends=True)
        points = []
        for line in lines:
            if not line.endswith(b"\n"):
                break  # still being written, or torn
            checksum, _, body = line.partition(b" ")
            if checksum == _checksum(body):
                points.append(json.loads(body))
            else:
                _tell_of_damage(self.path, offset)
            offset += len(line)
        return points, offset

    def append(self, point: dict[str, Any]) -> None:
        """Write one epoch down with the ``time`` (Unix seconds), unless it stands there already."""
        with self.path.open("ab") as file:
            # A worker whose driver was killed may still be at its last epoch.
            fcntl.flock(file, fcntl.LOCK_EX)
            points, end = self.read()
            if any(known["epoch"] >= point["epoch"] for known in points):
                return
            body = json.dumps({**point, "time": time.time()}, sort_keys=True).encode() + b"\n"
            file.truncate(end)  # a torn last line would swallow this one
            file.write(_checksum(body) + b" " + body)
            file.flush()
            os.fsync(file.fileno())


@cache  # the file is read again and again
def _tell_of_damage(file: Path, offset: int) -> None:
    _LOG.warning(
        "%s: the line at byte %d does not have its checksum; its epoch is missing in what is shown",
        file, offset,
    )  # fmt: skip


def _checksum(body: bytes) -> bytes:
    return b"%08x" % zlib.crc32(body)
