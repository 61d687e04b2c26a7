"""Searcher and scheduler for Tune, by the sweep's rule of early stopping."""

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from sweeps.agenda import Agenda
from sweeps.population.config import Pb2Config, PbtConfig
from sweeps.search import SweepSearch
from sweeps.spec import Sweep
from sweeps.stopping import Rules, RuleScheduler
from sweeps.storage import SweepFolder


def build_tuning(
    sweep: Sweep,
    folder: SweepFolder,
    search: SweepSearch,
    agenda: Agenda,
    rules: Rules,
    slots: int,
) -> tuple[Searcher, TrialScheduler | None, int | None]:
    """What Tune is given.

    Args:
        sweep: The sweep.
        folder: Its folder, for what a population has taken over so far.
        search: Hands out assignments.
        agenda: Knows whether more trials come.
        rules: The sweep's rules; a population has none of them.
        slots: Trials at a time.

    Returns:
        Searcher, scheduler (None where nothing looks at trials on their way) and how many trials
        Tune may begin at a time; a population sees to that itself (None), since its members wait
        for each other.
    """
    spec = sweep.spec
    rule = spec.early_stopping.rule if spec.early_stopping is not None else None
    if isinstance(rule, PbtConfig | Pb2Config):
        # PB2's Gaussian process takes seconds to import.
        from sweeps.population.population import build_population
        from sweeps.population.search import PopulationSearch

        population = build_population(
            rule,
            sweep.space.domains,
            spec.objective,
            seed=spec.search.seed,
            slots=slots,
            folders=[folder.trial_folder(record) for record in folder.read_records()],
        )
        return PopulationSearch(search, population, lambda: agenda.expects_more), population, None
    if rules.stopping is not None:
        return search, RuleScheduler(rules.stopping, spec.objective.metric), slots
    return search, None, slots
