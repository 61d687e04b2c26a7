"""Ctrl-C and SIGTERM, at any moment of a sweep: it ends cleanly and can be resumed."""

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
        seen: Whether a signal came.
        exchange: The actor handle of the sweep's exchange while Tune runs, else None.
    """

    def __init__(self) -> None:
        self.seen = False
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

    def _interrupt(self, number: int, frame: object) -> None:
        is_first, self.seen = not self.seen, True
        tune_listens = signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
        if not is_first or self.exchange is None or not tune_listens:
            raise KeyboardInterrupt
        # In a thread: the signal may have come in the middle of a call to Ray.
        threading.Thread(target=self.exchange.interrupt.remote, daemon=True).start()
        os.kill(os.getpid(), signal.SIGUSR1)
