"""Ending a sweep before its time, by a signal, from elsewhere or by itself: it can be resumed."""

import os
import signal
import threading
from typing import Any


class Interrupts:
    """While entered, the first signal ends the sweep cleanly; a second one raises at once.

    Tune leaves its loop on SIGUSR1, once it has installed its handler; the trainables it then waits
    for are woken first, they would otherwise wait for the end of their epoch. Outside Tune's loop
    the signal raises KeyboardInterrupt where the driver is. Enter it in the main thread.

    Attributes:
        seen: Whether the sweep was told to end.
        cancelled: Whether that was `cancel`.
        reason: Given to `stop`; None unless the sweep ended itself.
        exchange: The actor handle of the sweep's exchange while Tune runs, else None.
    """

    def __init__(self) -> None:
        self.seen = self.cancelled = False
        self.reason: str | None = None
        self.exchange: Any = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.getsignal(number)
        self.install()
        return self

    def install(self) -> None:
        """Take the signals (again): `ray.init` puts a SIGTERM handler of its own in place."""
        for number in self._previous:
            signal.signal(number, self._interrupt)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def cancel(self) -> None:
        """End the sweep as a signal would; from any thread."""
        self.cancelled = True
        os.kill(os.getpid(), signal.SIGINT)

    def stop(self, reason: str) -> None:
        """End the sweep for a reason of its own; called from within Tune's loop."""
        if self.reason is None and not self.seen:
            self.seen, self.reason = True, reason
            self._leave_tune()

    def _interrupt(self, number: int, frame: object) -> None:
        is_first, self.seen = not self.seen, True
        tune_listens = signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
        if not is_first or self.exchange is None or not tune_listens:
            raise KeyboardInterrupt
        self._leave_tune()

    def _leave_tune(self) -> None:
        # In a thread: the signal may have come in the middle of a call to Ray.
        threading.Thread(target=self.exchange.interrupt.remote, daemon=True).start()
        os.kill(os.getpid(), signal.SIGUSR1)
