"""One entry of a search space against the recipe's model: its path, its kind, its formula."""

from collections.abc import Iterable, Iterator
from typing import Any

from resnet_core.dotted_paths import get_path
from resnet_core.duration import Duration
from resnet_core.problems import Problem, did_you_mean
from resnet_core.strict import leaf_types
from resnet_core.yaml_source import YamlSource
from sweeps.space.domains import Derived, Domain, QUniform
from sweeps.space.ranges import IntegerRange, Range
from sweeps.space.sampled import Listed, repeated
from sweeps.space.space import Space


def no_such_field(path: str, known: Iterable[str]) -> str:
    """Say that a path names no field of the recipe, and which one was meant perhaps."""
    known = list(known)
    same_end = [other for other in known if other.split(".")[-1] == path]
    hint = f"; did you mean {' or '.join(same_end)}?" if same_end else did_you_mean(path, known)
    return f"the recipe has no such field{hint}"


class EntryCheck:
    """Finds what is wrong with an entry whatever else varies.

    Args:
        space: The whole space.
        annotations: Every path of the recipe's model -> its type.
        source: The sweep file, for positions.
    """

    def __init__(self, space: Space, annotations: dict[str, Any], source: YamlSource) -> None:
        self._space = space
        self._annotations = annotations
        self._source = source

    def problems(self, path: str) -> Iterator[Problem]:
        """Of one key, its conditions excepted."""
        domain = self._space.domains[path]
        yield from self._about_path(path)
        yield from self._about_kind(path, domain)
        yield from self._about_formula(path, domain)

    def _about_path(self, path: str) -> Iterator[Problem]:
        loc = ("space", path)
        if path not in self._annotations:
            yield self._source.problem(loc, no_such_field(path, self._annotations), of_key=True)
            return
        parts = path.split(".")
        for depth in range(1, len(parts)):
            section, outer = ".".join(parts[:depth]), ".".join(parts[: depth - 1])
            if self._space.deciding_keys(section) or isinstance(self._at(section), dict):
                continue
            chosen = self._at(outer) if outer else None
            there = [key for key, value in (chosen or {}).items() if isinstance(value, dict)]
            hint = f"its {outer} is {', '.join(there)}: " if there else ""
            instead = f"vary {outer}.{there[0]}, or " if there else ""
            yield self._source.problem(
                loc,
                f"this recipe has no {section}; {hint}{instead}make {outer or section} a choice "
                "of whole sub-trees",
                of_key=True,
            )
            return

    def _about_kind(self, path: str, domain: Domain) -> Iterator[Problem]:
        loc = ("space", path, domain.kind)
        leaves = leaf_types(self._annotations[path]) if path in self._annotations else {Any}
        if isinstance(domain, Listed) and (text := repeated(domain.values)) is not None:
            yield self._source.problem(loc, f"{text} stands there twice")
        if Any in leaves or not isinstance(domain, Range | Derived):
            return
        if isinstance(domain, Derived):
            if not leaves & {int, float, Duration}:
                message = f"{path} is neither a number nor a length, which is what a formula gives"
                yield self._source.problem(loc, message, of_key=True)
        elif not leaves & {int, float}:
            message = f"{path} is not a number; list its values: {{choice: [...]}}"
            yield self._source.problem(loc, message, of_key=True)
        elif float not in leaves and not _is_whole(domain):
            message = f"{path} is a whole number; use {{int: [low, high]}} or {{choice: [...]}}"
            yield self._source.problem(loc, message, of_key=True)

    def _about_formula(self, path: str, domain: Domain) -> Iterator[Problem]:
        for name in domain.expression.names if isinstance(domain, Derived) else ():
            if name not in self._annotations:
                message = f"{name}: {no_such_field(name, self._annotations)}"
                yield self._source.problem(("space", path, "derive"), message)

    def _at(self, path: str) -> Any:
        try:
            return get_path(self._space.recipe_data, path)
        except KeyError:
            return None


def _is_whole(domain: Range) -> bool:
    return isinstance(domain, IntegerRange) or (
        isinstance(domain, QUniform) and domain.has_whole_values
    )
