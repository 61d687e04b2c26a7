"""Tune's searcher for a sweep: it hands over what the agenda decides."""

from typing import Any

from ray.tune.search import Searcher

from sweeps.agenda import Agenda
from sweeps.assignment import Assignment
from sweeps.mirror import place_of


class SweepSearch(Searcher):
    """Gives Tune one assignment of the agenda after another; each is a trial to Tune.

    Attributes:
        assignments: Tune's trial id -> what it trains.
    """

    def __init__(self, agenda: Agenda) -> None:
        super().__init__()  # without the metric: a failed trial has none, and Tune would insist
        self._agenda = agenda
        self.assignments: dict[str, Assignment] = {}

    def suggest(self, trial_id: str) -> Any:
        """The config of the next Tune trial; None while there is nothing to do yet."""
        found = self._agenda.next()
        if found is None:
            return Searcher.FINISHED
        if found == "wait":
            return None
        self.assignments[trial_id] = found
        return {
            "index": found.record.index,
            "copy": found.record.copy,
            "rung": found.rung,
            "folder": place_of(found.folder),
            "micro_batch_limit": found.record.micro_batch_limit,
        }

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tune's notice, unused: `Recorder` tells the agenda."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the sweep's folder is the memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: a new searcher reads the sweep's folder."""
