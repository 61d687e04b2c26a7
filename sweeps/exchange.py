"""The mailbox between Tune's trainables and the gangs that train for them.

One exchange serves a whole sweep, as an asynchronous Ray actor that needs no CPU of its own (see
`gang.py`); the class itself knows nothing of Ray. A trainable posts a *command* (one trial) to its
gang and waits for *items* (one per epoch); rank 0 of the gang reports an item and every rank asks
for the *verdict*, go on or stop. A verdict is a recorded fact for (command, epoch), so all ranks
read the same one without touching the training process group, and a worker that was restarted
reads it again.

The verdict for an epoch is "go" once the trainable asks for the item after it, which is what Tune
makes it do after its scheduler has seen the epoch. So a stopped trial trains no step beyond the
epoch at which it was stopped, and its slot is free at once.
"""

import time
from typing import Any

from sweeps.mailbox import Mailbox, end, wait

MAX_DELIVERIES = 3
"""A command is handed to a (restarted) gang at most this often: a trial that kills its workers each
time must fail alone, not keep the slot for ever."""

_DIED = "the workers died {0.deliveries} times while they trained this trial"


class Exchange:
    """Commands, items and verdicts of every gang of one sweep."""

    def __init__(self) -> None:
        self._mailboxes: dict[str, Mailbox] = {}
        self._interrupted = False
        self._going: set[str] = set()

    def _mailbox(self, gang: str) -> Mailbox:
        return self._mailboxes.setdefault(gang, Mailbox())

    # ---- the trainable's side -----------------------------------------------------------------

    async def start_trial(self, gang: str, command: dict[str, Any]) -> int:
        """Give the gang its next command; whatever it was doing before gets the verdict stop.

        Args:
            gang: The gang.
            command: What the workers get; ``after_epoch`` in it says that the trainable knows the
                epochs up to that one and lets the gang go on after them.

        Returns:
            The command's number, counted from 1; the other calls name it.
        """
        box = self._mailbox(gang)
        async with box.changed:
            box.number += 1
            box.command = command
            box.taken = None
            box.deliveries = 0
            box.items.clear()
            box.reported_epoch = box.go_until_epoch = command.get("after_epoch", 0)
            box.ended = False
            box.changed.notify_all()
            return box.number

    async def next_item(
        self, gang: str, *, after_epoch: int, timeout_seconds: float
    ) -> dict[str, Any] | None:
        """Let the gang go on after ``after_epoch`` and wait for its next item.

        Returns:
            The item, ``{"kind": "interrupted"}`` once `interrupt` was called, or None when
            ``timeout_seconds`` have passed, so that the caller can look whether the gang lives.
            ``notes`` in it are what a worker wanted to be known since the item before it.
        """
        box = self._mailbox(gang)
        async with box.changed:
            if not self._interrupted:  # nobody would note what the gang trains from now on
                box.go_until_epoch = max(box.go_until_epoch, after_epoch)
                box.changed.notify_all()
            if not await wait(box, lambda: bool(box.items) or self._interrupted, timeout_seconds):
                return None
            item = {"kind": "interrupted"} if self._interrupted else box.items.popleft()
            notes, box.notes = box.notes, []
            return {**item, "notes": notes} if notes else item

    async def close(self, gang: str) -> Any:
        """Tell the workers to leave after the epoch they are in.

        Returns:
            The placement group the gang runs in, None if none of its workers ever came up.
        """
        box = self._mailbox(gang)
        async with box.changed:
            box.closed = True
            box.changed.notify_all()
            return box.placement_group

    async def leave(self, gang: str) -> None:
        """Note that a gang has ended, with all its processes."""
        box = self._mailbox(gang)
        async with box.changed:
            box.gone = True
            box.changed.notify_all()

    async def abandoned(self, *, timeout_seconds: float) -> list[Any]:
        """Close every gang and wait for those of several workers to end.

        One alone ends with its trainable, and if that was killed, nobody is left to say so.

        Returns:
            The placement groups of those that have not: their trainable was ended before it could
            give them back.
        """
        deadline = time.monotonic() + timeout_seconds
        for box in self._mailboxes.values():
            async with box.changed:
                box.closed = True
                box.changed.notify_all()
        left = []
        for box in self._mailboxes.values():
            if box.placement_group is None:
                continue
            async with box.changed:
                gone = await wait(
                    box, lambda box=box: box.gone, max(0, deadline - time.monotonic())
                )
            if not gone:
                left.append(box.placement_group)
        return left

    async def interrupt(self) -> None:
        """Wake every trainable that waits: the sweep is being interrupted."""
        self._interrupted = True
        for box in self._mailboxes.values():
            async with box.changed:
                box.changed.notify_all()

    # ---- the workers' side --------------------------------------------------------------------

    async def attach(self, gang: str, placement_group: Any) -> None:
        """Rank 0 has come up, for the first time or after a restart.

        What an earlier rank 0 took is forgotten: the other ranks must start from the checkpoint
        that this one will choose. The group is kept so that an abandoned gang can be removed.
        """
        box = self._mailbox(gang)
        async with box.changed:
            box.placement_group = placement_group
            box.taken = None
            box.nodes.clear()
            box.promises.clear()
            box.attached += 1
            box.changed.notify_all()

    async def next_command(self, gang: str, *, after: int) -> dict[str, Any] | None:
        """Wait, as rank 0, for a command numbered above ``after`` that has not ended.

        A gang that was restarted passes 0 and gets the command it was working on again.

        Returns:
            The command with its ``number``, or None when the gang is closed or, to a rank 0 that
            has died while it waited, when another one has come up.
        """
        box = self._mailbox(gang)
        async with box.changed:
            attached = box.attached

            def ready() -> bool:
                is_stale = box.attached != attached
                return box.closed or is_stale or (box.number > after and not box.ended)

            while True:
                await wait(box, ready)
                if box.closed or box.attached != attached or box.command is None:
                    return None
                if box.deliveries < MAX_DELIVERIES:
                    box.deliveries += 1
                    return {**box.command, "number": box.number}
                end(box, {"kind": "failed", "reason": "worker", "error": _DIED.format(box)})

    async def take(self, gang: str, command: dict[str, Any]) -> None:
        """Rank 0 starts on the command, as it stands now; the other ranks follow it."""
        box = self._mailbox(gang)
        async with box.changed:
            box.taken = command
            box.changed.notify_all()

    async def follow(self, gang: str, *, after: int) -> dict[str, Any] | None:
        """Wait, as any other rank, for the command that rank 0 took; None when closed."""
        box = self._mailbox(gang)

        def ready() -> bool:
            return box.closed or (
                box.taken is not None and box.taken["number"] > after and not box.ended
            )

        async with box.changed:
            await wait(box, ready)
            return None if box.closed else box.taken

    async def report(
        self, gang: str, number: int, epoch: int, item: dict[str, Any] | None, *, last: bool
    ) -> bool:
        """Report an epoch and wait for the verdict.

        Args:
            gang: Whose epoch it is.
            number: The command it belongs to.
            epoch: Completed epochs, from 1.
            item: What the trainable gets; None from every rank but 0. An epoch that was reported
                before a restart is not handed on twice.
            last: Whether the command ends with this epoch.

        Returns:
            True to train on, False to leave this trial.
        """
        box = self._mailbox(gang)
        async with box.changed:
            if box.number != number:
                return False
            if item is not None and epoch > box.reported_epoch:
                box.reported_epoch = epoch
                if last:
                    end(box, item)
                else:
                    box.items.append(item)
                    box.changed.notify_all()
            if last:
                return False
            await wait(
                box,
                lambda: box.number != number or box.closed or box.go_until_epoch >= epoch,
            )
            # Once it was "go" for one rank it is for all, even if the gang was closed meanwhile.
            return box.number == number and box.go_until_epoch >= epoch

    async def note(self, gang: str, text: str) -> None:
        """Let the user know something; it goes with the next item."""
        box = self._mailbox(gang)
        async with box.changed:
            box.notes.append(text)

    async def fail(self, gang: str, number: int, item: dict[str, Any]) -> None:
        """End the command because a rank raised; later reports of other ranks count for nothing."""
        box = self._mailbox(gang)
        async with box.changed:
            if box.number == number and not box.ended:
                end(box, item)

    # ---- leaving a node that is about to go, see `preemption.py` ------------------------------

    async def preempt(self, nodes: list[str]) -> None:
        """Note that these nodes (by id) are about to be taken away."""
        self._going.update(nodes)
        for box in list(self._mailboxes.values()):
            async with box.changed:
                box.changed.notify_all()

    async def is_going(self, node: str) -> bool:
        """Whether a node is about to be taken away."""
        return node in self._going

    async def notice(self, gang: str, node: str) -> bool:
        """Wait, as a worker on this node, until the gang has to leave in the middle of an epoch.

        Returns:
            True because one of its nodes goes or the sweep is being interrupted, False because the
            gang was closed.
        """
        box = self._mailbox(gang)

        def has_to_leave() -> bool:
            owner = (box.command or {}).get("node")  # where its trainable runs
            return self._interrupted or not self._going.isdisjoint({*box.nodes, owner})

        async with box.changed:
            box.nodes.add(node)
            await wait(box, lambda: box.closed or has_to_leave())
            return has_to_leave()

    async def agree(
        self, gang: str, rank: int, num_workers: int, promise: tuple[int, int]
    ) -> tuple[int, int]:
        """Promise to train no further than (command, step); where all ranks stop, once all have."""
        box = self._mailbox(gang)
        async with box.changed:
            box.promises[rank] = promise
            box.changed.notify_all()
            await wait(box, lambda: len(box.promises) == num_workers)
            return max(box.promises.values())
