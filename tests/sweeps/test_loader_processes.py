"""Loader processes follow from what a worker was given, not from the machine it finds itself on."""

import pytest

from sweeps.loader_processes import with_loader_processes
from sweeps.sections import ResourcesConfig
from tests.core.tiny_recipe import tiny_recipe


@pytest.mark.parametrize(("cpus", "expected"), [(8, 8), (2.5, 2), (0.5, 1)])
def test_there_is_one_for_each_of_the_workers_cpus(cpus, expected):
    recipe = tiny_recipe(loader_processes=None)
    resources = ResourcesConfig(cpus_per_worker=cpus)
    assert with_loader_processes(recipe, resources).num_loader_processes == expected


def test_what_the_recipe_says_goes_first():
    recipe = tiny_recipe(loader_processes=3)
    assert with_loader_processes(recipe, ResourcesConfig(cpus_per_worker=8)) == recipe
