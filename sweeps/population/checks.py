"""Which keys a search space may hold where trials take over each other's weights.

A trial can only go on with weights that fit it, after as many steps of the same size. So every key
of the space must be one that a recipe can inherit across, and what changes must be a number that
stands on its own.
"""

from collections.abc import Mapping
from difflib import get_close_matches

from resnet_core.dotted_paths import field_paths
from resnet_core.inheritance import INHERITABLE
from resnet_core.problems import Problem
from resnet_core.recipe import Recipe
from resnet_core.strict import leaf_types
from resnet_core.yaml_source import YamlSource
from sweeps.population.config import Pb2Config, PopulationConfig
from sweeps.space.domains import Domain, Fixed, Listed, Sampled
from sweeps.space.ranges import LogUniform, Uniform


def population_problems(
    domains: Mapping[str, Domain], config: PopulationConfig, recipe: Recipe, source: YamlSource
) -> list[Problem]:
    """Say which keys of a space do not go with ``pbt`` or ``pb2``.

    Args:
        domains: Recipe path -> what it may take.
        config: The rule.
        recipe: Trial 0.
        source: The sweep file.
    """
    problems = []
    for path, domain in domains.items():
        message = _complaint(path, domain, config, recipe)
        if message is not None:
            problems.append(source.problem(("space", path), message, of_key=True))
    if not problems and not mutable_domains(domains):
        message = "nothing in the space can change while a trial trains; add a range"
        problems.append(source.problem(("space",), message, of_key=True))
    return problems


def mutable_domains(domains: Mapping[str, Domain]) -> dict[str, Sampled]:
    """The keys that change when a trial takes over another one, in the order of the file."""
    return {path: domain for path, domain in domains.items() if isinstance(domain, Sampled)}


def _complaint(path: str, domain: Domain, config: PopulationConfig, recipe: Recipe) -> str | None:
    rule = "pb2" if isinstance(config, Pb2Config) else "pbt"
    if path not in _inheritable_numbers():
        return (
            f"{rule} trains trials on with each other's weights, so {path} must be the same in "
            f"all of them; what can vary: {_allowed(path)}"
        )
    if domain.when:
        return f"{rule} changes every key at any time, so a key has no conditions; leave out when"
    if isinstance(domain, Fixed):
        values = [domain.value]
    elif not isinstance(domain, Sampled):
        return f"{rule} changes keys one by one, so none is derived from another; give it a range"
    elif isinstance(config, Pb2Config) and not isinstance(domain, Uniform | LogUniform):
        return "pb2 needs continuous ranges; write {uniform: [...]} or {loguniform: [...]}, or pbt"
    else:
        values = [value for _, value in domain.values_to_check()]
    wrong = [value for value in values if not _is_number(value)]
    if wrong and isinstance(domain, Listed):
        return f"{rule} moves from a number to its neighbour; {wrong[0]!r} is no number"
    if path.endswith(".momentum"):
        settings = recipe.optimizer.settings
        zero = [value for value in [*values, getattr(settings, "momentum", None)] if value == 0]
        if zero:
            return (
                f"{rule} takes the momentum over too, and with momentum 0 (the recipe's counted) "
                "there is none; stay above 0"
            )
    return None


def _inheritable_numbers() -> list[str]:
    annotations = field_paths(Recipe)
    leaves = {path: leaf_types(annotations[path]) for path in sorted(INHERITABLE)}
    return [path for path, types in leaves.items() if types & {int, float} and bool not in types]


def _allowed(path: str) -> str:
    allowed = _inheritable_numbers()
    near = [other for other in allowed if other.startswith(f"{path}.")]
    near = near or [o for o in allowed if o.split(".")[-1] == path.split(".")[-1]]
    near = near or get_close_matches(path, allowed, n=2)
    if near:
        return ", ".join(near)
    return "the optimizer's rates, momenta and decay, and the strength of methods"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
