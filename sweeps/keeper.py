"""Which epochs of a trial become checkpoints, and which of those stay.

Writing every epoch cost the digits recipe a tenth of its time (`benchmarks.throughput`). So on a
trial's way a worker writes as often as keeps the cost within a share of the time
(``storage.checkpoint_share``), and once more when the trial leaves it. What a killed worker had
trained since, it trains again; an epoch after which the driver may want the file, to stop, compare
or take over the trial, is written whatever it costs.
"""

import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resnet_core.manifest import (
    CorruptCheckpoint,
    newest_checkpoint,
    put_back,
    read_manifest,
    set_aside,
    verify_checkpoint,
)
from resnet_core.train import EpochResult
from resnet_core.training import Snapshot, Training
from sweeps.answer.results import best_epoch
from sweeps.population.mutations import checkpoint_of, inherited_epoch
from sweeps.spec import ObjectiveConfig

WITHIN_EPOCH = "within-epoch"
"""A checkpoint of a step, left by workers whose node was taken away; the next epoch's replaces it.
"""


def newest_of(trial_folder: Path, say: Callable[[str], object] = warnings.warn) -> Path | None:
    """The good checkpoint from which a trial goes on; None if it begins.

    Args:
        trial_folder: Of the trial.
        say: Told of each one that is damaged, and was set aside.
    """
    folder = trial_folder / "checkpoints"
    newest, within = newest_checkpoint(folder, say), folder / WITHIN_EPOCH
    put_back(within)
    for unfinished in folder.glob(f".{WITHIN_EPOCH}.*"):  # of a writer that was killed
        shutil.rmtree(unfinished, ignore_errors=True)
    if not within.exists():
        return newest
    try:
        step = verify_checkpoint(within).step
    except CorruptCheckpoint as error:
        set_aside(within, error, say)
        return newest
    if newest is not None and read_manifest(newest).step >= step:
        return newest
    return within


def leave(trial_folder: Path, training: Training, keeper: "Keeper | None") -> None:
    """Write the step that a training has come to, as every worker does together.

    Args:
        trial_folder: Of the trial.
        training: Between two steps.
        keeper: Of the trial, at the worker that has one: epochs that nobody will train again are
            written as well, if they are wanted.

    Raises:
        OSError: If it cannot be written; what was there stays.
    """
    if keeper is not None:
        keeper.write_unsaved_best()
    training.save_checkpoint(trial_folder / "checkpoints" / WITHIN_EPOCH)


class Pace:
    """How often a worker may write: what the last checkpoint took says what the next one will."""

    def __init__(self, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: ``share`` of the time that writing may take, in (0, 1]; 1 writes every epoch."""
        self._share, self._clock = share, clock
        self._seconds = 0.0  # unknown yet, so the first one is written, and measured
        self._ended_at = clock()

    def begin(self) -> None:
        """A trial begins: it has nothing to lose yet."""
        self._ended_at = self._clock()

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint now keeps within the share."""
        since = self._clock() - self._ended_at
        return self._seconds <= self._share * (since + self._seconds)

    def write(self, save: Callable[[], object]) -> None:
        """Write one, and see what it costs."""
        started = self._clock()
        save()
        self._ended_at = self._clock()
        self._seconds = self._ended_at - started


class Keeper:
    """The checkpoints of one trial while it is trained: the newest, the one before it, the best.

    The one before it is there in case the newest is damaged, and goes when the trial has ended. The
    best epoch by the objective is held in memory until the next one is written. A trial that
    took over another one keeps that one's checkpoint only until it has one of its own.

    Args:
        trial_folder: Where they lie, below ``checkpoints``.
        objective: Says which epoch is best.
        pace: How often one may be written.
        say: Told of each one that is damaged, and was set aside.
        publish: Called once one is written, before others go: the time it takes counts as well.
    """

    def __init__(
        self,
        trial_folder: Path,
        objective: ObjectiveConfig,
        pace: Pace,
        say: Callable[[str], object] = warnings.warn,
        publish: Callable[[], object] = lambda: None,
    ) -> None:
        self._trial_folder, self._objective, self._pace = trial_folder, objective, pace
        self._say, self._publish = say, publish
        self._folder = trial_folder / "checkpoints"
        self._inherited = inherited_epoch(trial_folder)
        self._unsaved_best: Snapshot | None = None
        self._newest_saved = 0
        pace.begin()

    def keep(self, result: EpochResult, *, at_once: bool) -> None:
        """Write the epoch if it must be or may be; else remember it if it is the best so far."""
        if at_once or self._pace.is_due:
            self.write(result)
        elif self._best([result.metrics()]) == result.epoch:
            self._unsaved_best = result.snapshot()

    def write(self, result: EpochResult) -> None:
        """Write the epoch, and the best one before it, unless that was done already.

        Raises:
            OSError: If it cannot be written; what was there stays.
        """
        if self._newest_saved == result.epoch:
            return
        best, earlier = self._best([result.metrics()]), self._unsaved_best
        if earlier is not None and earlier.epoch == best:
            self.write_unsaved_best()
        newest = checkpoint_of(self._trial_folder, result.epoch)

        def save() -> None:
            result.save_checkpoint(newest)
            self._publish()

        self._pace.write(save)
        self._unsaved_best, self._newest_saved = None, result.epoch
        saved = sorted(path for path in self._folder.glob("ep*") if path.is_dir())
        kept = {newest, checkpoint_of(self._trial_folder, best)}
        if not result.finished:
            kept |= {*[path for path in saved if path < newest][-1:]}
        for path in saved:
            if path not in kept:
                shutil.rmtree(path)
        shutil.rmtree(self._folder / WITHIN_EPOCH, ignore_errors=True)

    def write_unsaved_best(self) -> None:
        """Write the best epoch, if it is only in memory."""
        if self._unsaved_best is not None:
            self._unsaved_best.save(checkpoint_of(self._trial_folder, self._unsaved_best.epoch))

    def _best(self, others: list[dict[str, Any]]) -> int:
        """The best of the trial's own epochs that are on disk, in memory, or given."""
        inherited = checkpoint_of(self._trial_folder, self._inherited)
        saved = sorted(path for path in self._folder.glob("ep*") if path.is_dir())
        known = [metrics for path in saved if path != inherited for metrics in self._metrics(path)]
        if self._unsaved_best is not None:
            known.append(self._unsaved_best.metrics)
        return best_epoch([*known, *others], self._objective)

    def _metrics(self, checkpoint: Path) -> list[dict[str, Any]]:
        """Of its epoch; nothing of a damaged one, of which there is no telling."""
        try:
            return [read_manifest(checkpoint).metrics]
        except CorruptCheckpoint as error:
            set_aside(checkpoint, error, self._say)
            return []
