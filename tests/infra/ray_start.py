"""The options of the installed Ray's ``ray start``, without starting one."""

from typing import Any


def options_of_ray_start(words: list[str]) -> dict[str, Any]:
    """What follows ``ray start``, parsed.

    Raises:
        click.NoSuchOption: If Ray does not have one of them.
    """
    # Imports all of Ray, Serve included, with warnings that only tests can filter.
    from ray.scripts.scripts import start

    return start.make_context("start", list(words)).params
