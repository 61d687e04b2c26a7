"""What the exchange knows of one gang, and how its calls wait for a change of that."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Mailbox:
    """The state of one gang."""

    number: int = 0  # of the newest command, counted from 1
    command: dict[str, Any] | None = None
    taken: dict[str, Any] | None = None  # the command as rank 0 took it, for the other ranks
    deliveries: int = 0
    items: deque[dict[str, Any]] = field(default_factory=deque)
    notes: list[str] = field(default_factory=list)  # that go with the next item
    reported_epoch: int = 0
    go_until_epoch: int = 0
    ended: bool = True  # the command has seen its last item
    closed: bool = False
    gone: bool = False  # its processes have ended
    attached: int = 0  # how often a rank 0 has come up
    placement_group: Any = None
    nodes: set[str] = field(default_factory=set)  # that its workers run on
    promises: dict[int, tuple[int, int]] = field(default_factory=dict)  # by rank, see `agree`
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)


def end(box: Mailbox, item: dict[str, Any]) -> None:
    """Hand the command's last item on, holding the mailbox's lock."""
    box.items.append(item)
    box.ended = True
    box.changed.notify_all()


async def wait(
    box: Mailbox, condition: Callable[[], bool], timeout_seconds: float | None = None
) -> bool:
    """Wait for the condition, holding the mailbox's lock; False if the time ran out."""
    try:
        await asyncio.wait_for(box.changed.wait_for(condition), timeout_seconds)
    except TimeoutError:
        return False
    return True
