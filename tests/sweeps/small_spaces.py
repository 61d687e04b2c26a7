"""Spaces of a few keys over a recipe of a few keys, for tests of what a space suggests."""

from sweeps.space.domains import read_domain
from sweeps.space.space import Space

RECIPE = {
    "model": {"name": "resnet18", "groups": 1},
    "optimizer": {"sgd": {"learning_rate": 1.0, "nesterov": False}},
    "stages": [1, 2],
}
COSINE = {"linear_warmup": "1ep", "cosine_decay": {"T_max": "5ep"}}
STEPS = {"linear_warmup": None, "step_decay": {"milestones": ["4ep"], "gamma": 0.1}}


def space_of(**entries):
    """A space whose paths are written with ``__`` for the dot."""
    domains = {path.replace("__", "."): read_domain(entry) for path, entry in entries.items()}
    return Space(domains, RECIPE)


NESTED = {
    "c": {"choice": [1, 2], "when": {"b": 4}},
    "b": {"choice": [1, 4], "when": {"model.name": ["resnet50", "resnet101"]}},
    "model__name": {"choice": ["resnet18", "resnet50"]},
}
