"""What is wrong with a space as a grid: keys without a list of values, or too many points."""

from collections.abc import Iterator

from resnet_core.problems import Problem
from resnet_core.yaml_source import YamlSource
from sweeps.space.domains import Grid, Sampled
from sweeps.space.space import Space

MAX_GRID_POINTS = 10_000
_MAX_COUNTED = 50_000


def grid_problems(
    space: Space, algorithm: str, trials: int | None, source: YamlSource
) -> list[Problem]:
    """Say why a space cannot be gone through point by point.

    Args:
        space: Sound in itself, see `check_space`.
        algorithm: ``grid`` goes through every sampled key; others through those of kind grid only,
            again and again, and choose the rest.
        trials: As the file says, trial 0 included; None leaves it open.
        source: The sweep file, for positions.
    """
    if algorithm == "grid":
        return list(_of_whole_space(space, trials, source))
    if not space.sampled and (trials is None or trials > 2):
        message = (
            "nothing varies: every key is fixed or derived, so that there is one trial besides the "
            "recipe; write search: {trials: 2}"
        )
        return [source.problem(("space",), message, of_key=True)]
    return list(_of_grid_keys(space, algorithm, source))


def _of_whole_space(space: Space, trials: int | None, source: YamlSource) -> Iterator[Problem]:
    endless = [path for path, domain in space.sampled.items() if domain.num_values is None]
    for path in endless:
        kind = space.domains[path].kind
        message = (
            f"algorithm: grid needs list values, and {path} varies over a range; write "
            f"{{grid: [...]}} or {{quniform: [low, high, step]}}"
        )
        yield source.problem(("space", path, kind), message, of_key=True)
    if endless:
        return
    size = space.grid_size(_MAX_COUNTED, every_key=True)
    if size is None or size > MAX_GRID_POINTS:
        yield source.problem(("search", "algorithm"), _too_many(size, "algorithm: random"))
    elif trials is not None and trials < size + 1:
        message = (
            f"the grid has {_counted(size, 'point')}, which with trial 0, the recipe, makes "
            f"{size + 1} trials, got {trials}; leave trials out to run them all, or take "
            "algorithm: random"
        )
        yield source.problem(("search", "trials"), message)


def _of_grid_keys(space: Space, algorithm: str, source: YamlSource) -> Iterator[Problem]:
    is_sound = True
    for path in space.grid_keys:
        others = [
            key
            for key in space.needs(path)
            if isinstance(domain := space.domains[key], Sampled) and not isinstance(domain, Grid)
        ]
        if others:
            is_sound = False
            message = (
                f"with algorithm: {algorithm} a grid cannot depend on {' and '.join(others)}, "
                "which the algorithm chooses; make that a grid too, or this a choice"
            )
            yield source.problem(("space", path, "when"), message, of_key=True)
    size = space.grid_size(_MAX_COUNTED) if is_sound and space.grid_keys else 0
    if size is None or size > MAX_GRID_POINTS:
        loc = ("space", space.grid_keys[0], "grid")
        yield source.problem(loc, _too_many(size, "choice instead of grid"))


def _too_many(size: int | None, instead: str) -> str:
    number = f"more than {_MAX_COUNTED:,}" if size is None else f"{size:,}"
    return (
        f"the grid has {number} points, and at most {MAX_GRID_POINTS:,} are run; shorten the lists "
        f"or take {instead}"
    )


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
