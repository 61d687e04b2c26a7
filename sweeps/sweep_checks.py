"""What is wrong with a sweep although each of its parts is right: found before anything runs."""

import math

from resnet_core.problems import CannotTrain, Problem
from resnet_core.recipe import Recipe
from resnet_core.yaml_source import YamlSource
from sweeps.sections import EarlyStoppingConfig, ResourcesConfig


def untrainable(
    recipe: Recipe, resources: ResourcesConfig | None, source: YamlSource
) -> list[Problem]:
    """Say why trial 0 cannot be trained: it names no data, or its batch does not split.

    Args:
        recipe: Trial 0.
        resources: None if that section is wrong itself.
        source: The sweep file.
    """
    problems = []
    space = source.data.get("space")
    varied = space if isinstance(space, dict) else {}
    if recipe.data is None and not any(path.split(".")[0] == "data" for path in varied):
        at = ("extends",) if "extends" in source.data else ("recipe",)
        message = "the recipe names no data; add data: {digits: {}} or data: {fake: {}}"
        problems.append(source.problem(at, message))
    if resources is not None:
        try:
            recipe.share_of_batch(resources.workers_per_trial)
        except CannotTrain as error:
            problems.append(source.problem(("resources", "workers_per_trial"), str(error)))
    return problems


def useless_rungs(
    early_stopping: EarlyStoppingConfig | None, recipes: list[Recipe], source: YamlSource
) -> list[Problem]:
    """Say that the first rung comes after every trial's end.

    Args:
        early_stopping: None stops nothing.
        recipes: Of every trial that can be.
        source: The sweep file.
    """
    if early_stopping is None or any(recipe.max_duration.unit != "ep" for recipe in recipes):
        return []
    grace = early_stopping.asha.grace_period
    longest = max(recipe.max_duration.value * recipe.exact_schedule_scale for recipe in recipes)
    if grace.value < longest:
        return []
    last = math.ceil(longest) - 1
    allowed = {0: "early_stopping: null", 1: "allowed: 1ep"}.get(last, f"allowed: 1ep to {last}ep")
    span = f"no trial is longer than {float(longest):g}ep"
    message = f"{span}, so nothing stops at {grace}; {allowed}"
    return [source.problem(("early_stopping", "asha", "grace_period"), message)]
