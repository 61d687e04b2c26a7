"""Processes that write checkpoints and may be killed, from one that has imported torch already."""

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from resnet_core.checkpoint import save_checkpoint
from resnet_core.manifest import newest_checkpoint

NOBODY = 65534


def states_of(epoch: int) -> dict[str, Any]:
    """As large as a small model's, and different in each epoch."""
    generator = torch.Generator().manual_seed(epoch)
    return {
        "model": {f"layer{i}.weight": torch.rand(64, 256, generator=generator) for i in range(4)},
        "optimizer": {"state": {0: {"momentum_buffer": torch.full((65_536,), float(epoch))}}},
    }


def save(folder: Path, epoch: int) -> None:
    save_checkpoint(
        folder, states=states_of(epoch), epoch=epoch, step=10 * epoch,
        metrics={"epoch": epoch}, recipe={"seed": 7}, elapsed_seconds=1.5,
    )  # fmt: skip


def save_for_ever(connection: Connection, folder: Path, one_name: bool) -> None:
    """Save epoch after epoch, and tell of each one when it is on the disk."""
    epoch = 0
    while True:
        epoch += 1
        save(folder / f"ep{1 if one_name else epoch:04d}", epoch)
        connection.send(epoch)


def save_with_small_files(connection: Connection, folder: Path, max_bytes: int) -> None:
    """Save where no file may grow beyond a size: what a quota does; tells the error's number."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # its default is the process's end
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
    connection.send(_number_of_error(lambda: save(folder, 2)))


def save_without_rights(connection: Connection, folder: Path) -> None:
    """Save as somebody who may read the folder and not write there."""
    _become_nobody()
    connection.send(_number_of_error(lambda: save(folder, 2)))


def look_without_rights(connection: Connection, folder: Path) -> None:
    """Ask for the newest checkpoint likewise."""
    _become_nobody()
    connection.send(_number_of_error(lambda: newest_checkpoint(folder)))


def _become_nobody() -> None:
    if os.geteuid() == 0:  # whom no mode of a folder keeps from writing
        os.setuid(NOBODY)


def _number_of_error(action: Callable[[], object]) -> int | None:
    try:
        action()
    except OSError as error:
        return error.errno
    return None


class Writers:
    """Starts them; each is a fork of a process that has torch in memory, so it starts at once."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.faults.writers"])

    @contextmanager
    def running(
        self, work: Callable[..., None], *arguments: Any
    ) -> Iterator[tuple[ForkServerProcess, Connection]]:
        """The process, and the end of a pipe on which it tells what it has done."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=work, args=(theirs, *arguments), daemon=True)
        process.start()
        theirs.close()
        try:
            yield process, ours
        finally:
            process.kill()
            process.join()
            ours.close()

    def ask(self, work: Callable[..., None], *arguments: Any) -> Any:
        """What a process that ends by itself tells."""
        with self.running(work, *arguments) as (_, told):
            return told.recv()

    def close(self) -> None:
        """End the process that they are forked from."""
        forkserver._forkserver._stop()  # pyright: ignore[reportAttributeAccessIssue]


def drained(told: Connection, newest: int) -> int:
    """The last epoch that a killed writer told of."""
    try:
        while True:
            newest = told.recv()
    except EOFError:
        return newest
