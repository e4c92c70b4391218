"""Calls aside: calls that may block, one at a time, so that a disk that hangs keeps one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class Aside:
    """Runs calls in a thread. For the event loop alone."""

    def __init__(self, timeout: float) -> None:
        """timeout: seconds that a call may take, with its wait for the one before."""
        self._timeout = timeout
        self._turn = anyio.Lock()
        self._busy = False

    async def run(self, call: Callable[[], T]) -> T:
        """The result of a call. TimeoutError if it takes too long, or an earlier one hangs.

        What takes too long goes on by itself.
        """
        with anyio.fail_after(self._timeout):
            async with self._turn:
                if self._busy:
                    raise TimeoutError("an earlier call has not come back yet")
                return await self._run(call)

    async def _run(self, call: Callable[[], T]) -> T:
        self._busy, began = True, False

        def work() -> T:
            nonlocal began
            began = True
            try:
                return call()
            finally:
                self._busy = False

        try:
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        finally:
            # Where it was cancelled while no thread was free, nothing else would.
            if not began:
                self._busy = False
