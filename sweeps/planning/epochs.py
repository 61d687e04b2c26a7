"""Epochs that a sweep will train: at most, and about as many with its early stopping.

Early stopping lets a share of the trials go on that is known beforehand; which ones, and how many
more go on by luck, is not. So these are expectations, and the totals are meant as "about".
"""

import math
from dataclasses import dataclass

from resnet_core.recipe import Recipe
from sweeps.early_stopping import AshaConfig, EarlyStoppingConfig, HyperbandConfig
from sweeps.rules import rungs_below
from sweeps.rules.hyperband import bracket_sizes
from sweeps.sweep_checks import whole_epochs

Bracket = tuple[float, tuple[int, ...]]
"""The share of the trials that are in it, and their rungs in epochs, rising."""


@dataclass(frozen=True)
class Training:
    """What one trial trains on average, trial 0 apart.

    Attributes:
        epochs: Of all its schedules together.
        kept: Of how many checkpoints stay: 1, but of stretched schedules only the whole one.
    """

    epochs: float
    kept: float


def num_epochs(recipe: Recipe, num_train: int | None) -> int | None:
    """Epochs of a recipe's whole schedule.

    Args:
        recipe: What is trained.
        num_train: Training images; None if that is not known.

    Returns:
        None if the schedule is counted in steps of a data set of unknown length.
    """
    if num_train is None or num_train < recipe.train_batch_size:
        return whole_epochs(recipe) or None
    steps_per_epoch = num_train // recipe.train_batch_size
    return math.ceil(recipe.total_steps(steps_per_epoch) / steps_per_epoch)


def brackets(
    early_stopping: EarlyStoppingConfig | None, num_epochs: int, recipe_epochs: int
) -> list[Bracket]:
    """The rungs that trials pass on their way; one bracket without rungs where none is planned.

    Args:
        early_stopping: As in the sweep file; the rungs of median, pbt and pb2 are no plan.
        num_epochs: Of the trial's whole schedule.
        recipe_epochs: Of trial 0's, which rungs that are not written down follow from.
    """
    rule = early_stopping.rule if early_stopping is not None else None
    if early_stopping is None or not isinstance(rule, AshaConfig | HyperbandConfig):
        return [(1.0, ())]
    if isinstance(rule, AshaConfig):
        return [(1.0, early_stopping.rungs(num_epochs, recipe_epochs))]
    starts = rungs_below(
        recipe_epochs,
        grace_epochs=rule.grace_epochs(recipe_epochs),
        reduction_factor=rule.reduction_factor,
    )
    sizes = bracket_sizes(len(starts), rule.reduction_factor)
    rungs = [
        *(early_stopping.rungs(num_epochs, recipe_epochs, first=start) for start in starts),
        (),
    ]
    return [(size / sum(sizes), of) for size, of in zip(sizes, rungs, strict=True)]


def expected_training(
    early_stopping: EarlyStoppingConfig | None,
    num_epochs: int,
    recipe_epochs: int,
    num_trials: int | None,
) -> Training:
    """What a trial trains on average: of each rung 1 in ``reduction_factor`` goes on, at least one.

    Args:
        early_stopping: As in the sweep file. Median stopping counts as if it stopped nobody, since
            how many it stops depends on their curves; pbt and pb2 stop nobody.
        num_epochs: Of the trial's whole schedule.
        recipe_epochs: Of trial 0's.
        num_trials: Trials without trial 0, which is never stopped; None: very many.
    """
    return _training(early_stopping, num_epochs, recipe_epochs, num_trials, all_pass=False)


def longest_training(
    early_stopping: EarlyStoppingConfig | None, num_epochs: int, recipe_epochs: int
) -> Training:
    """What a trial trains that passes every rung."""
    return _training(early_stopping, num_epochs, recipe_epochs, None, all_pass=True)


def _training(
    early_stopping: EarlyStoppingConfig | None,
    num_epochs: int,
    recipe_epochs: int,
    num_trials: int | None,
    *,
    all_pass: bool,
) -> Training:
    stretches = early_stopping is not None and early_stopping.stretches
    factor = getattr(early_stopping and early_stopping.rule, "reduction_factor", 1)
    epochs = kept = 0.0
    for share, rungs in brackets(early_stopping, num_epochs, recipe_epochs):
        least = 0.0 if num_trials is None else min(1.0, 1 / max(1.0, share * num_trials))
        here, passing = 0, 1.0
        for passed, rung in enumerate([*rungs, num_epochs], start=1):
            epochs += share * passing * (rung if stretches else rung - here)
            if stretches and rung == num_epochs:
                kept += share * passing
            here = rung
            passing = 1.0 if all_pass else max(factor**-passed, least)
        kept += 0.0 if stretches else share
    return Training(epochs, kept)
