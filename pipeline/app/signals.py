"""Signal handlers of the process, in force before anything slow is imported."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Ctrl-C, the service manager, and on Windows Ctrl-Break, which service wrappers send.
SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGBREAK")
    if name in signal.Signals.__members__
)


class SignalHandlers:
    """Signal handlers of the process, from its first line to its last.

    Before the event loop runs, a signal raises KeyboardInterrupt. From then on handle_signals() of
    `shutdown.py` takes signals; the few that arrive between the two are kept as pending for it. A
    signal that arrives after both has no effect.
    """

    def __init__(self) -> None:
        self._pending: list[str] = []
        self._interrupting = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle signals from now on; after the block they are ignored until the process ends."""
        self._interrupting = True
        for one in SIGNALS:
            signal.signal(one, self._handle)
        try:
            yield
        finally:
            # Python removes its handlers before its very end, and a signal would kill it then.
            for one in SIGNALS:
                signal.signal(one, signal.SIG_IGN)

    def stop_interrupting(self) -> None:
        """Keep signals as pending from now on, for the event loop begins."""
        self._interrupting = False

    def take_pending(self) -> list[str]:
        """The names of the pending signals, which are forgotten."""
        pending, self._pending = self._pending, []
        return pending

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._pending.append(signal.Signals(number).name)
        if self._interrupting:
            self._interrupting = False
            raise KeyboardInterrupt


#: A process has one set of handlers.
signal_handlers = SignalHandlers()
