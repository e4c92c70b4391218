"""Refreshed value: a figure that takes time to read, read in the background when it is asked for.

Nothing is read while nobody asks. What can't be read, or takes too long, leaves the value as it
was: who asks is told the latest one, and waits for a new one only for a moment.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Seconds for which a value is good.
MAX_AGE = 15.0
#: A value that takes long to read is good for so many times as long, so that reading it never
#: takes more than a twentieth of the time.
MAX_SHARE = 20
#: Seconds that one who asks waits for a new value, at most.
PATIENCE = 1.0


class Refreshed(Generic[T]):
    """A value, and how it is read; run() reads it. For the event loop alone."""

    def __init__(
        self, name: str, read: Callable[[], Awaitable[T]], value: T, max_age: float | None = None
    ) -> None:
        """name: of what is read, for the log. value: until it has been read.

        max_age: seconds for which it is good; None: MAX_AGE.
        """
        self._max_age = max_age
        self.value = value
        self._name = name
        self._read = read
        self._good_until = 0.0
        self._asked_at = 0.0
        self._asked = anyio.Event()
        self._ended = anyio.Event()
        self._failed = False

    async def get(self) -> T:
        """The value: at most max_age old, unless it takes longer than PATIENCE to read."""
        now = time.monotonic()
        if now >= self._good_until:
            if not self._asked.is_set():
                self._asked_at = now
                self._asked.set()
            with anyio.move_on_after(self._asked_at + PATIENCE - now):
                await self._ended.wait()
        return self.value

    def outdate(self) -> None:
        """Have it read anew for whoever asks next."""
        self._good_until = 0.0

    async def run(self) -> None:
        """Read the value whenever it is asked for and is too old, until cancelled."""
        while True:
            await self._asked.wait()
            began = time.monotonic()
            try:
                self.value = await self._read()
                self._failed = False
            except Exception as error:  # noqa: BLE001 - no figure is worth a document
                if not self._failed:
                    self._failed = True
                    log.warning("a figure can't be read", what=self._name, reason=str(error))
            now = time.monotonic()
            max_age = MAX_AGE if self._max_age is None else self._max_age
            self._good_until = now + max(max_age, MAX_SHARE * (now - began))
            ended, self._ended = self._ended, anyio.Event()
            self._asked = anyio.Event()
            ended.set()
