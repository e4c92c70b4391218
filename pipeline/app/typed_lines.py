"""Typed lines: reads standard input line by line beside the event loop.

A thread that waits for a line can't be stopped, so it is a daemon, and reads the descriptor itself:
Python's own buffer would be locked for the end of the process.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

#: Bytes of one line, at most.
MAX_LINE = 100_000


async def typed_lines() -> AsyncIterator[str]:
    """Yield each line that is typed, or piped in, until its end."""
    loop = asyncio.get_running_loop()
    # It grows by what is typed while one line is looked at.
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def put(line: str | None) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def read() -> None:
        pending = b""
        with suppress(OSError, ValueError, AttributeError):  # there is no standard input
            descriptor = sys.stdin.fileno()
            while chunk := os.read(descriptor, 4096):
                *whole, pending = (pending + chunk).split(b"\n")
                for line in whole:
                    put(line.decode("utf-8", "replace"))
                pending = pending[-MAX_LINE:]
        if pending:
            put(pending.decode("utf-8", "replace"))
        put(None)

    threading.Thread(target=read, daemon=True, name="typed lines").start()
    while (line := await lines.get()) is not None:
        yield line
