"""Suggesting trials: the recipe first, then what Optuna makes of everything seen so far.

The searcher's memory is the sweep's folder, not a pickle of its own: after a restart the ended
trials are told to a new Optuna study and the interrupted ones are suggested again, under their old
index. Each suggestion draws from a sampler seeded with (seed, index), so that the same trials seen
give the same next suggestion, whether or not the driver was restarted in between.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import optuna
from ray.tune.search import Searcher

from sweeps.space import label
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder, TrialRecord


class SweepSearch(Searcher):
    """Tune's searcher for one sweep.

    Args:
        sweep: The sweep; its ``search.trials`` counts trial 0 in.
        folder: Where the trials seen so far lie and new ones are written to.
    """

    def __init__(self, sweep: Sweep, folder: SweepFolder) -> None:
        objective = sweep.spec.objective
        super().__init__()  # without the metric: a failed trial has none, and Tune would insist
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._objective = objective
        direction = "maximize" if objective.mode == "max" else "minimize"
        self._sweep = sweep
        self._folder = folder
        self._study = optuna.create_study(direction=direction)
        self._asked: dict[int, optuna.trial.Trial] = {}  # index -> what Optuna waits to be told
        self._index_of: dict[str, int] = {}  # Tune's trial id -> index
        self._waiting: list[TrialRecord] = []
        records = folder.read_records()
        self._next_index = len(records)
        for record in records:
            self._ask(record.index, known=record)
            if record.ended:
                self.tell(record, folder.history(record))
            else:
                self._waiting.append(record)

    def suggest(self, trial_id: str) -> Any:
        """The next trial's config for Tune: its ``index`` and its ``folder``, recipe inside."""
        if self._waiting:
            record = replace(self._waiting.pop(0), suggested_at=time.time())
            self._folder.write_record(record)
        elif self._next_index < self._sweep.spec.search.trials:
            index = self._next_index
            self._next_index += 1
            overrides = self._ask(index)
            recipe = self._sweep.recipe_for(overrides)
            name = f"t{index:04d} {label(overrides)}" if overrides else f"t{index:04d} recipe"
            record = TrialRecord(index, name, recipe.digest(), overrides, suggested_at=time.time())
            self._folder.create_trial(record, recipe.to_yaml())
        else:
            return Searcher.FINISHED
        self._index_of[trial_id] = record.index
        return {"index": record.index, "folder": str(self._folder.trial_folder(record))}

    @property
    def num_left(self) -> int:
        """Trials that have not ended, the ones not suggested yet included."""
        return len(self._waiting) + max(0, self._sweep.spec.search.trials - self._next_index)

    def _ask(self, index: int, known: TrialRecord | None = None) -> dict[str, Any]:
        """Ask Optuna for the point of this index; what is known already is asked for again."""
        if index == 0:
            return {}
        self._study.sampler = self._sampler(index)
        if known is not None:
            self._study.enqueue_trial(self._sweep.space.parameters(known.overrides))
        trial = self._study.ask()
        self._asked[index] = trial
        return self._sweep.space.suggest(trial)

    def _sampler(self, index: int) -> optuna.samplers.BaseSampler:
        search = self._sweep.spec.search
        seed = (search.seed * 1_000_003 + index) % 2**32
        match search.algorithm:
            case "random":
                return optuna.samplers.RandomSampler(seed=seed)
            case "tpe":
                # Several trials run at a time: the running ones count as bad, so that the next
                # suggestion lies elsewhere.
                return optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tune's notice, unused: the driver tells the whole history by `tell`."""

    def tell(self, record: TrialRecord, history: Iterable[dict[str, Any]]) -> None:
        """Tell Optuna how a trial ended: its value, or pruned at the rung where it was stopped."""
        trial = self._asked.pop(record.index, None)
        if trial is None:
            return
        values = [(point["epoch"], float(point[self._objective.metric])) for point in history]
        for epoch, value in values:
            if math.isfinite(value):
                trial.report(value, epoch)
        if record.status == "completed" and values and math.isfinite(values[-1][1]):
            self._study.tell(trial, values[-1][1])
        elif record.status == "stopped_early":
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the sweep's folder is the memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: a new searcher reads the sweep's folder."""
