"""Trials that take as many workers as there is room for: which numbers of them can train at all.

The batch is global, so whatever the number, a trial makes the same steps over the same images; each
worker has an equal share of them, and so only numbers over which the batch splits are used.
"""

from resnet_core.problems import CannotTrain
from resnet_core.recipe import Recipe
from sweeps.sections import ResourcesConfig
from sweeps.space.domains import Domain
from sweeps.space.sampled import Listed

_BATCH = "train_batch_size"


def worker_counts(
    recipe: Recipe, resources: ResourcesConfig, batch_domain: Domain | None = None
) -> tuple[int, ...]:
    """The numbers of workers, ascending, that every trial of a sweep can be trained with.

    Args:
        recipe: Trial 0.
        resources: Say how many there may be.
        batch_domain: What the space makes of the batch size. Of one that lists no values nothing is
            known; a trial that turns out not to split fails by itself.

    Raises:
        CannotTrain: If there is none; of one number only, or of the largest, why not.
    """
    variants, most = [recipe], resources.max_workers
    if resources.is_elastic:
        listed = batch_domain.values if isinstance(batch_domain, Listed) else ()
        sizes = [size for size in listed if type(size) is int and size > 0]
        sizes = sizes or [recipe.train_batch_size]  # what is wrong with others is told elsewhere
        variants = [recipe.model_copy(update={_BATCH: size}) for size in sizes]
        most = min(most, max(resources.min_workers, *sizes))
    found, why = [], None
    for count in range(resources.min_workers, most + 1):
        try:
            for variant in variants:
                variant.share_of_batch(count)
        except CannotTrain as error:
            why = error
        else:
            found.append(count)
    if not found:
        assert why is not None
        raise why
    return tuple(found)
