"""A population that trains in step: what PBT and PB2 have in common.

Tune's `PopulationBasedTraining` and `PB2` say what weak trials try next; what is different here:

- All trials wait at each multiple of the interval for the slowest, whatever the number of slots, so
  a trial is only ever compared with, and takes over from, trials that have trained as long.
- A trial is taken over on disk, by the driver, as soon as it is decided (`mutations.py`). Nothing
  has to travel through Tune, and a sweep whose driver was killed goes on from its folders.
- Every draw is seeded with (seed, epoch, trial), so the same scores give the same mutations, in
  whatever order they came, after a restart too.
- Trial 0 takes over from nobody. It may be taken over.

What a killed driver loses: of an epoch whose comparison was under way, the take-overs not yet
written. Source: Jaderberg et al. 2017, arXiv:1711.09846, appendix A.1.
"""

import logging
import math
import random
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ray.tune.schedulers import PopulationBasedTraining, TrialScheduler
from ray.tune.schedulers.pbt import _PBTTrialState
from sklearn.exceptions import ConvergenceWarning

from sweeps.population.genes import Gene
from sweeps.population.mutations import (
    Mutation,
    current_values,
    model_sha256,
    read_mutations,
    recipe_with,
    take_over,
)
from sweeps.spool import Spool

_LOG = logging.getLogger(__name__)
PROTECTED_TRIAL = 0
"""The recipe itself: without its own schedule there is nothing to compare with."""


class InStep(PopulationBasedTraining):
    """What both populations share; `begin` comes after the constructor.

    Tune knows a trial's hyper-parameters as ``config["genes"]``, by recipe path.
    """

    genes: dict[str, Gene]

    def begin(
        self,
        genes: dict[str, Gene],
        *,
        interval: int,
        seed: int,
        slots: int,
        folders: Iterable[Path],
    ) -> None:
        """Take up the population where its folders say that it stands."""
        self.genes = genes
        self.everyone_is_here = False
        self._interval, self._seed, self._slots = interval, seed, slots
        self._boundary = _compared_until(folders, interval) + interval
        self._trials: list[Any] = []  # confirmations too, which are no members
        self._arrived: dict[Any, dict[str, Any]] = {}  # members at the boundary -> last result
        self._holding: set[Any] = set()  # those of them that keep their slot meanwhile
        self._interrupted = False

    # ---- who is there -------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether another trial may start: as many are up as there are slots, no more."""
        return sum(trial.status in ("PENDING", "RUNNING") for trial in self._trials) < self._slots

    @property
    def objective(self) -> str:
        """The metric that trials are compared by."""
        assert self._metric is not None  # the constructors set it
        return self._metric

    @property
    def _members(self) -> list[Any]:
        alive = [trial for trial in self._trial_state if not trial.is_finished()]
        return sorted(alive, key=index_of)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """A trial is new, or tried again after its workers died."""
        # Tune's own refuses every searcher, for fear that it would watch the scores.
        if trial not in self._trials:
            self._trials.append(trial)
        if trial.config.get("genes") is not None and trial not in self._trial_state:
            self._trial_state[trial] = _PBTTrialState(trial)
            self._remember(trial)
        self._arrived.pop(trial, None)
        self._holding.discard(trial)

    def _remember(self, trial: Any) -> None:
        """Learn what the trial did before this driver began."""

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """A member that is interrupted has not come to its boundary: nothing is compared then."""
        self._interrupted = self._interrupted or result["kind"] == "interrupted"

    # ---- one epoch after the other ------------------------------------------------------------

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Let the trial train on, or wait at the boundary."""
        if trial not in self._trial_state or result["epoch"] < self._boundary:
            return TrialScheduler.CONTINUE
        self._arrived[trial] = result
        behind = [t for t in self._members if t not in self._arrived and t.status == "PAUSED"]
        if behind or not self.everyone_is_here:
            return TrialScheduler.PAUSE  # its slot is needed
        self._holding.add(trial)
        return TrialScheduler.NOOP  # it keeps its workers; `choose_trial_to_run` sends it on

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Compare the trials once all are there; then, the paused trial that is furthest behind.

        Tune calls this in every turn of its loop, so a trial that fails while the others wait for
        it is noticed.
        """
        members = self._members
        all_are_there = self.everyone_is_here and all(trial in self._arrived for trial in members)
        if members and all_are_there:
            self._compare(members)
            holding, self._holding, self._arrived = self._holding, set(), {}
            for trial in sorted(holding, key=index_of):
                tune_controller._schedule_trial_train(trial)
        if not self.has_room:
            return None
        paused = [t for t in members if t.status == "PAUSED" and t not in self._arrived]
        return min(paused, key=lambda t: (t.last_result["epoch"], index_of(t)), default=None)

    def _compare(self, members: list[Any]) -> None:
        epoch = self._boundary
        self._boundary += self._interval
        if self._interrupted:
            return
        for trial in members:
            self._save_trial_state(self._trial_state[trial], epoch, self._arrived[trial], trial)
        lower, upper = self._quantiles()
        for trial in sorted(lower, key=index_of):
            # An epoch that was reported twice, by a trial tried again, may be behind or ahead.
            same = [donor for donor in upper if self._epoch_of(donor) == self._epoch_of(trial)]
            if not same:
                continue
            with _seeded(f"{self._seed}-{epoch}-{index_of(trial)}"), warnings.catch_warnings():
                # scikit-learn's, of how well a handful of points determine a Gaussian process
                warnings.simplefilter("ignore", ConvergenceWarning)
                donor = random.choice(same)
                proposed, _ = self._get_new_config(trial, donor)
            self._take_over(trial, donor, proposed["genes"])

    def _epoch_of(self, trial: Any) -> int:
        return self._arrived[trial]["epoch"]

    def _quantiles(self) -> tuple[list[Any], list[Any]]:
        """The weakest members without trial 0, and the strongest; NaN is weakest."""
        scores = {}
        for trial in self._members:
            score = self._trial_state[trial].last_score
            scores[trial] = -math.inf if score is None or math.isnan(score) else score
        ranked = sorted(scores, key=lambda trial: (scores[trial], -index_of(trial)))
        count = min(math.ceil(len(ranked) * self._quantile_fraction), len(ranked) // 2)
        upper = [trial for trial in ranked[len(ranked) - count :] if scores[trial] > -math.inf]
        others = [trial for trial in ranked if index_of(trial) != PROTECTED_TRIAL]
        return [trial for trial in others[:count] if trial not in upper], upper

    def _take_over(self, trial: Any, donor: Any, proposed: Mapping[str, float]) -> None:
        """Write it down; the trial's workers load it when they are asked for the next epoch.

        A donor whose checkpoint is damaged costs the trial the exchange, and nobody else anything.
        """
        folder, paths, epoch = folder_of(trial), list(self.genes), self._epoch_of(trial)
        try:
            weights = model_sha256(folder_of(donor), epoch)
        except OSError as error:
            _LOG.warning("t%04d takes nothing over: %s", index_of(trial), error)
            return
        before = current_values(folder, paths)
        after = {path: gene.decode(proposed[path]) for path, gene in self.genes.items()}
        if not _is_possible(folder, after):  # numbers that the recipe's own rules refuse together
            after = current_values(folder_of(donor), paths)
        mutation = Mutation(
            epoch=epoch,
            donor=index_of(donor),
            model_sha256=weights,
            before=before,
            after=after,
            value=self._arrived[trial][self.objective],
            donor_value=self._arrived[donor][self.objective],
        )
        take_over(folder, folder_of(donor), mutation)
        trial.set_config({**trial.config, "genes": self.encode(after)})
        self._note(trial, mutation)
        self._num_perturbations += 1

    def _note(self, trial: Any, mutation: Mutation) -> None:
        """Learn what a trial has taken over."""

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of a recipe as Tune gets them."""
        return {path: gene.encode(values[path]) for path, gene in self.genes.items()}


def _compared_until(folders: Iterable[Path], interval: int) -> int:
    """The last boundary that was compared: someone has trained beyond it, or taken over at it."""
    done = 0
    for folder in folders:
        epochs = [point["epoch"] for point in Spool(folder).read()[0]]
        mutated = [mutation.epoch for mutation in read_mutations(folder)]
        done = max([done, *mutated, *((epoch - 1) // interval * interval for epoch in epochs)])
    return done


def _is_possible(folder: Path, values: dict[str, Any]) -> bool:
    try:
        recipe_with(folder, values)
    except ValueError:
        return False
    return True


@contextmanager
def _seeded(text: str) -> Iterator[None]:
    """Tune's schedulers draw from the global random numbers: seed them, and put them back."""
    before = random.getstate(), np.random.get_state()
    random.seed(text)
    np.random.seed(random.getrandbits(32))
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def index_of(trial: Any) -> int:
    """The trial's index in the sweep."""
    return trial.config["index"]


def folder_of(trial: Any) -> Path:
    """The trial's folder."""
    return Path(trial.config["folder"])
