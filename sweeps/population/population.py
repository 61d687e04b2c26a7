"""PBT and PB2 for Tune: its own schedulers, in step (`in_step.py`)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from ray.tune.schedulers.pb2 import PB2

from sweeps.population.checks import mutable_domains
from sweeps.population.config import Pb2Config, PbtConfig
from sweeps.population.genes import Gene
from sweeps.population.in_step import InStep, folder_of, index_of
from sweeps.population.mutations import Mutation, current_values, read_mutations
from sweeps.sections import ObjectiveConfig
from sweeps.spool import Spool


class PbtPopulation(InStep):
    """Tune's `PopulationBasedTraining`: multiply by a factor, move to a neighbour, or draw anew."""

    def __init__(
        self, config: PbtConfig, objective: ObjectiveConfig, genes: dict[str, Gene]
    ) -> None:
        super().__init__(
            time_attr="epoch",
            metric=objective.metric,
            mode=objective.mode,
            perturbation_interval=config.interval_epochs,
            quantile_fraction=config.quantile_ratio,
            resample_probability=config.resample_probability,
            perturbation_factors=config.factors,  # pyright: ignore[reportArgumentType] (any number)
            hyperparam_mutations={"genes": {path: gene.mutation for path, gene in genes.items()}},
            log_config=False,
        )


class Pb2Population(PB2, InStep):
    """Tune's `PB2`: a Gaussian process over what the population's changes brought so far."""

    def __init__(
        self, config: Pb2Config, objective: ObjectiveConfig, genes: dict[str, Gene]
    ) -> None:
        super().__init__(
            time_attr="epoch",
            metric=objective.metric,
            mode=objective.mode,
            perturbation_interval=config.interval_epochs,
            quantile_fraction=config.quantile_ratio,
            hyperparam_bounds={"genes": {path: gene.bounds for path, gene in genes.items()}},
            log_config=False,
        )
        self._past: list[tuple[tuple[int, int, int], Any]] = []  # rows of earlier drivers

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """See `InStep.on_trial_add`; PB2's own would draw values, which are there already."""
        InStep.on_trial_add(self, tune_controller, trial)

    def _compare(self, members: list[Any]) -> None:
        """See `InStep._compare`; in the order in which an undisturbed driver learns things."""
        if self._past:
            self._past.sort(key=lambda item: item[0])
            self.data = pd.DataFrame([row for _, row in self._past])
            self._past = []
        super()._compare(members)

    def _remember(self, trial: Any) -> None:
        """Rows of the process for every comparison that the trial was part of before."""
        if "Trial" in self.data and str(trial) in set(self.data["Trial"]):
            return  # this driver knows it: it failed and is tried again
        folder, index = folder_of(trial), index_of(trial)
        mutations = {mutation.epoch: mutation for mutation in read_mutations(folder)}
        scores = {point["epoch"]: point[self.objective] for point in Spool(folder).read()[0]}
        values = current_values(folder, list(self.genes))
        epochs = range(self._interval, self._boundary, self._interval)
        for epoch in sorted(set(epochs) & set(scores), reverse=True):
            mutation = mutations.get(epoch)
            if mutation is not None:
                row = self._row(trial, epoch, mutation.after, mutation.donor_value)
                self._past.append(((epoch, 1, index), row))
                values = mutation.before
            row = self._row(trial, epoch, values, scores[epoch])
            self._past.append(((epoch, 0, index), row))

    def _get_new_config(self, trial: Any, trial_to_clone: Any) -> Any:
        """Tune's own, less the row that it adds: its numbers are not put inside the bounds yet."""
        known = self.data
        found = super()._get_new_config(trial, trial_to_clone)
        self.data = known
        return found

    def _note(self, trial: Any, mutation: Mutation) -> None:
        """The change that the next epochs bring counts from the donor's score."""
        row = self._row(trial, mutation.epoch, mutation.after, mutation.donor_value)
        self.data = pd.concat([self.data, pd.DataFrame([row])], ignore_index=True)

    def _row(self, trial: Any, epoch: int, values: Mapping[str, Any], score: float) -> Any:
        encoded = {f"genes/{path}": number for path, number in self.encode(values).items()}
        reward = self._metric_op * score  # pyright: ignore[reportOptionalOperand]
        return {"Trial": str(trial), "Time": epoch, **encoded, "Reward": reward}


Population = PbtPopulation | Pb2Population


def build_population(
    config: PbtConfig | Pb2Config,
    domains: Mapping[str, Any],
    objective: ObjectiveConfig,
    *,
    seed: int,
    slots: int,
    folders: Iterable[Path],
) -> Population:
    """The scheduler for Tune.

    Args:
        config: The rule of the sweep file.
        domains: The space, which `population_problems` has nothing against.
        objective: What is compared, and which way.
        seed: Of the sweep.
        slots: Trials that train at a time; the others wait in between.
        folders: Of the trials there are already, ended ones included.
    """
    is_pb2 = isinstance(config, Pb2Config)
    genes = {
        path: Gene(domain, logarithmic=is_pb2 and getattr(domain, "is_log", False))
        for path, domain in mutable_domains(domains).items()
    }
    population: Population = (
        Pb2Population(config, objective, genes)
        if isinstance(config, Pb2Config)
        else PbtPopulation(config, objective, genes)
    )
    population.begin(
        genes, interval=config.interval_epochs, seed=seed, slots=slots, folders=folders
    )
    return population
