"""What is wrong with a sweep although each of its parts is right: found before anything runs."""

import math

from resnet_core.duration import Duration
from resnet_core.problems import Problem
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
    batch = recipe.train_batch_size
    if resources is not None and batch % (workers := resources.workers_per_trial) != 0:
        message = f"{workers} workers cannot share the recipe's train_batch_size {batch} evenly"
        problems.append(source.problem(("resources", "workers_per_trial"), message))
    return problems


def useless_rungs(
    early_stopping: EarlyStoppingConfig | None, lengths: list[Duration], source: YamlSource
) -> list[Problem]:
    """Say that the first rung comes after every trial's end.

    Args:
        early_stopping: None stops nothing.
        lengths: Of every trial that can be.
        source: The sweep file.
    """
    if early_stopping is None or any(length.unit != "ep" for length in lengths):
        return []
    grace = early_stopping.asha.grace_period
    longest = max(length.value for length in lengths)
    if grace.value < longest:
        return []
    last = math.ceil(longest) - 1
    allowed = {0: "early_stopping: null", 1: "allowed: 1ep"}.get(last, f"allowed: 1ep to {last}ep")
    span = f"no trial is longer than {float(longest):g}ep"
    message = f"{span}, so nothing stops at {grace}; {allowed}"
    return [source.problem(("early_stopping", "asha", "grace_period"), message)]
