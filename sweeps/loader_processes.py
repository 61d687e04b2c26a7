"""How many processes load the images of a worker: one for each of the CPUs it was given."""

from resnet_core.recipe import Recipe
from sweeps.sections import ResourcesConfig


def with_loader_processes(recipe: Recipe, resources: ResourcesConfig) -> Recipe:
    """The recipe with ``loader_processes`` written out, where it leaves them open.

    By itself a worker would take its part of all CPUs that it sees: in a container those of the
    whole machine, and beside other trials those of all of them. Results do not depend on it.
    """
    if recipe.loader_processes is not None:
        return recipe
    return recipe.model_copy(update={"loader_processes": max(1, int(resources.cpus_per_worker))})
