"""The searcher of a population: new trials come only while there is a slot for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from sweeps.population.mutations import current_values, finish
from sweeps.population.population import Population


class PopulationSearch(Searcher):
    """A sweep's searcher, asked only when the population has room.

    Args:
        search: Gives configs with ``index``, ``folder`` and ``copy``; None while nothing new comes.
        population: The scheduler.
        more_to_come: Whether another member may still come.
    """

    def __init__(
        self,
        search: Searcher,
        population: Population,
        more_to_come: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._search, self._population = search, population
        self._more_to_come = more_to_come

    def suggest(self, trial_id: str) -> Any:
        """The config of the next trial, its hyper-parameters added; None while there is no room."""
        population = self._population
        config = None
        if population.has_room:
            config = self._search.suggest(trial_id)
        population.everyone_is_here = not self._more_to_come()
        if not isinstance(config, dict) or config.get("copy"):
            return config
        folder = Path(config["folder"])
        finish(folder)
        genes = population.encode(current_values(folder, list(population.genes)))
        return {**config, "genes": genes}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Passed on."""
        self._search.on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the sweep's folder is the memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: a new searcher reads the sweep's folder."""
