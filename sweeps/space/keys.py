"""The keys of a search space, and which of them look at which: through conditions and formulas."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sweeps.space.domains import Derived, Domain, Grid, Sampled


class CircularConditions(ValueError):
    """Keys that depend on each other; ``paths`` cannot be put in an order."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(f"conditions depend on each other: {', '.join(paths)}")
        self.paths = paths


@dataclass(frozen=True)
class Keys:
    """Domains by recipe path, in the order of the file.

    Attributes:
        domains: Recipe path -> what it may take.
    """

    domains: dict[str, Domain]

    def __iter__(self) -> Iterator[str]:
        return iter(self.domains)

    def __len__(self) -> int:
        return len(self.domains)

    @cached_property
    def sampled(self) -> dict[str, Sampled]:
        """The keys whose values are chosen: neither fixed nor derived."""
        return {path: one for path, one in self.domains.items() if isinstance(one, Sampled)}

    @property
    def grid_keys(self) -> list[str]:
        """The keys of kind grid."""
        return [path for path, domain in self.domains.items() if isinstance(domain, Grid)]

    def deciding_keys(self, path: str) -> list[str]:
        """The keys of the space that set a path, whole sub-trees around it first."""
        if path not in self._deciding:
            keys = [key for key in self.domains if f"{path}.".startswith(f"{key}.")]
            self._deciding[path] = sorted(keys, key=len)
        return self._deciding[path]

    @cached_property
    def _deciding(self) -> dict[str, list[str]]:
        return {}

    @cached_property
    def looks_at(self) -> dict[str, set[str]]:
        """Key -> the keys of the space that its conditions and its formula look at."""
        return {
            path: {
                key
                for other in (*domain.when, *_names(domain))
                for key in self.deciding_keys(other)
            }
            for path, domain in self.domains.items()
        }

    def needs(self, path: str) -> set[str]:
        """Every key that has a part, over any number of others, in a key's being there or value."""
        needed: set[str] = set()
        waiting = [path]
        while waiting:
            for key in self.looks_at[waiting.pop()] - needed:
                needed.add(key)
                waiting.append(key)
        return needed

    def is_discrete(self, path: str) -> bool:
        """Whether a key takes few enough values for conditions to look at.

        That is: listed ones, a short range, a fixed one, or one computed from such.
        """
        domain = self.domains[path]
        if isinstance(domain, Sampled):
            return domain.is_discrete
        needed = self.needs(path) if isinstance(domain, Derived) else ()
        return all(self.sampled[key].is_discrete for key in needed if key in self.sampled)

    @cached_property
    def order(self) -> list[str]:
        """The paths, each after what it looks at, else in the order of the file.

        Raises:
            CircularConditions: If keys look at each other in a circle.
        """
        order: list[str] = []
        while len(order) < len(self.domains):
            needs, done = self.looks_at, set(order)
            ready = next((p for p in needs if p not in done and needs[p] <= done), None)
            if ready is None:
                raise CircularConditions([path for path in needs if path not in done])
            order.append(ready)
        return order


def _names(domain: Domain) -> tuple[str, ...]:
    return domain.expression.names if isinstance(domain, Derived) else ()
