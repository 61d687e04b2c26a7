"""Optuna's part of the search: the next point of the space, given every trial seen so far.

The memory is the trials' records, not a study kept alive: for each suggestion a new study is made
from them. So a searcher that was restarted, extended, or told a trial's end late suggests what an
undisturbed one would have. Each suggestion draws from a sampler seeded with (seed, index). What a
sampler notes down itself (CMA-ES its distribution, QMC its place in the sequence) lies with the
trial that it suggested.
"""

import json
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.record import TrialRecord
from sweeps.spec import Sweep

Direction = Literal["minimize", "maximize"]

_STATES = {
    "pending": TrialState.RUNNING,
    "running": TrialState.RUNNING,
    "paused": TrialState.PRUNED,
    "completed": TrialState.COMPLETE,
    "stopped_early": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "infeasible": TrialState.COMPLETE,
}
"""Of a trial's status; a duplicate is told with its twin's."""

_ATTEMPTS = 100
"""Points that are drawn until one makes a possible recipe. Checked spaces need more than one only
where a formula looks at a range."""

_OWN_ATTEMPTS = 10
"""After so many the points are drawn at random: the algorithm, which learns nothing from a point
without a result, may insist on the same impossible corner."""


@dataclass(frozen=True)
class Seen:
    """What Optuna is told of a trial.

    Attributes:
        record: The trial; a duplicate has its twin's status and values.
        curve: Epochs of a rung (or of the schedule, so far) -> the objective after them.
        costs: Of ``objective.against``, in its order; None where not known yet.
    """

    record: TrialRecord
    curve: dict[int, float]
    costs: tuple[float | None, ...] = ()


class Suggester:
    """Suggests points of one sweep's space.

    Args:
        sweep: Its space, search section and objective.
    """

    def __init__(self, sweep: Sweep) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._sweep = sweep
        objective = sweep.spec.objective
        self._directions: list[Direction] = ["minimize"] * (1 + len(objective.against))
        if objective.mode == "max":
            self._directions[0] = "maximize"
        self._grid = list(sweep.space.grid_points()) if sweep.space.grid_keys else []
        if sweep.spec.search.algorithm == "grid":
            self._grid = list(sweep.space.grid_points(every_key=True))

    def suggest(
        self, index: int, seen: Iterable[Seen]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The point of the trial with this index, 1 or above.

        Args:
            index: Of the trial.
            seen: All trials before it, in the order of their indices.

        Returns:
            Recipe path -> value, and what the sampler wants kept with the trial; None when a grid
            has no point left.
        """
        seen = [one for one in seen if one.record.index > 0]
        nth = sum(one.record.origin is None for one in seen)
        if self._sweep.spec.search.algorithm == "grid":
            return (self._grid[nth], {}) if nth < len(self._grid) else None
        noted: dict[str, Any] = {}
        for attempt in range(_ATTEMPTS):
            study = self.study(index, seen, attempt=attempt)
            if attempt >= _OWN_ATTEMPTS:
                study.sampler = optuna.samplers.RandomSampler(seed=self._seed(index, attempt))
            storage = study._storage
            for key, value in noted.items():  # QMC goes on in its sequence
                storage.set_study_system_attr(study._study_id, key, value)
            if self._grid:
                study.enqueue_trial(self._sweep.space.parameters(self._grid[nth % len(self._grid)]))
            trial = study.ask()
            try:
                overrides = self._sweep.space.suggest(trial)
                self._sweep.recipe_for(overrides)
            except ValueError:
                if attempt + 1 == _ATTEMPTS:
                    raise
                noted = storage.get_study_system_attrs(study._study_id)
                continue
            kept = {
                "trial": dict(storage.get_trial(trial._trial_id).system_attrs),
                "study": dict(storage.get_study_system_attrs(study._study_id)),
            }
            kept["trial"].pop("fixed_params", None)
            return overrides, json.loads(json.dumps(kept))
        raise AssertionError("the last attempt returns or raises")

    def study(self, index: int, seen: Iterable[Seen], *, attempt: int = 0) -> optuna.Study:
        """Optuna's view of the trials that lie in the space.

        Args:
            index: Of the trial that is going to be suggested; seeds the sampler.
            seen: The trials, in the order of their indices.
            attempt: Counted from 0; seeds the sampler too.
        """
        sampler = self._sampler(self._seed(index, attempt))
        study = optuna.create_study(directions=self._directions, sampler=sampler)
        inside = [
            one
            for one in seen
            if one.record.index > 0 and self._sweep.space.contains(one.record.overrides)
        ]
        worst = self._worst(inside)
        is_constrained = bool(self._sweep.spec.constraints) or any(
            one.record.status == "infeasible" for one in inside
        )
        for one in inside:
            study.add_trial(self._frozen(one, worst, is_constrained))
        for key, value in next(
            (o.record.sampler["study"] for o in reversed(inside) if o.record.sampler), {}
        ).items():
            study._storage.set_study_system_attr(study._study_id, key, value)
        return study

    def _frozen(self, one: Seen, worst: list[float], is_constrained: bool) -> FrozenTrial:
        record, space = one.record, self._sweep.space
        state = _STATES[record.status]
        finite = {epoch: value for epoch, value in one.curve.items() if math.isfinite(value)}
        values: list[float] | None = None
        if record.status == "infeasible":
            values = worst
        elif state is TrialState.COMPLETE:
            last = one.curve[max(one.curve)] if one.curve else math.nan
            known = [float(cost) for cost in one.costs if cost is not None]
            values = [last, *known]
            if not math.isfinite(last) or len(known) < len(one.costs):
                state, values = TrialState.FAIL, None
        constraints = record.violations
        if record.status == "infeasible" and record.reason != "constraint":
            constraints = {**constraints, "trains": 1.0}
        elif is_constrained:
            # NSGA-II wants every constraint of every trial.
            constraints = {**constraints, "trains": 0.0}
        return create_trial(
            state=state,
            values=values,
            params=space.parameters(record.overrides),
            distributions=space.distributions(record.overrides),
            intermediate_values=finite if len(self._directions) == 1 else {},
            system_attrs=record.sampler.get("trial", {}),
            constraints=constraints or None,
        )

    def _worst(self, inside: list[Seen]) -> list[float]:
        """For an infeasible trial, which has no values: the worst that any trial had."""
        measured = [v for one in inside for v in one.curve.values() if math.isfinite(v)]
        columns = [measured]
        for number in range(len(self._directions) - 1):
            costs = [one.costs[number] for one in inside if number < len(one.costs)]
            columns.append([cost for cost in costs if cost is not None])
        return [
            (min if direction == "maximize" else max)(column, default=0.0)
            for direction, column in zip(self._directions, columns, strict=True)
        ]

    def _seed(self, index: int, attempt: int) -> int:
        return (self._sweep.spec.search.seed * 1_000_003 + index + attempt * 2**20) % 2**32

    def _sampler(self, seed: int) -> BaseSampler:
        search = self._sweep.spec.search
        match search.algorithm:
            case "random" | "grid":
                return optuna.samplers.RandomSampler(seed=seed)
            case "tpe":
                # Several trials run at a time: the running ones count as bad, so that the next
                # suggestion lies elsewhere.
                return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            case "gp":
                return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)
            case "cmaes":
                return optuna.samplers.CmaEsSampler(
                    seed=seed, warn_independent_sampling=False, consider_pruned_trials=True
                )
            case "qmc":
                # One scrambled sequence for the whole sweep: the place in it is kept, not the seed.
                return optuna.samplers.QMCSampler(
                    seed=search.seed,
                    scramble=True,
                    warn_independent_sampling=False,
                    independent_sampler=optuna.samplers.RandomSampler(seed=seed),
                )
            case "nsga2":
                return optuna.samplers.NSGAIISampler(seed=seed, population_size=self._population())

    def _population(self) -> int:
        """A fifth of the trials, so that there are about five generations; Optuna's 50 at most."""
        return min(50, max(4, (self._sweep.spec.given_trials or 250) // 5))
