"""Runs the one event loop of a process, and ends the process when a thread keeps it."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import anyio

T = TypeVar("T")

#: New objects between two looks at the youngest ones for cycles. A document makes some hundreds and
#: hardly a cycle: Python's own 700 would look after every other one, a twentieth of all the time.
YOUNG = 20_000

#: Seconds that threads are given to end when the process is to.
THREADS = 2.0
#: Seconds that last words may take: whoever was to hear them may be gone.
LAST_WORDS = 1.0


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Do the work of a whole process, after all that it needs is imported."""
    # What has been imported stays: to look through it again at each collection takes 50 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    return anyio.run(work)


def end(status: int) -> NoReturn:
    """End the process, after the threads that end by themselves."""
    until = time.monotonic() + THREADS
    others = [one for one in threading.enumerate() if one is not threading.current_thread()]
    for thread in others:
        if not thread.daemon:
            thread.join(max(until - time.monotonic(), 0))
    if any(thread.is_alive() and not thread.daemon for thread in others):
        end_at_once(status)
    sys.exit(status)


def end_at_once(status: int, last_words: Callable[[], None] = lambda: None) -> NoReturn:
    """End the process although threads are at work: the last resort.

    A thread that waits for a dead share never comes back, and nothing can stop it: neither a
    cancellation nor the end of the event loop, and the end of the interpreter waits for it. What
    the ledger holds is safe at each moment, so nothing is lost by leaving.
    """

    def speak() -> None:
        with contextlib.suppress(Exception):
            last_words()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        logging.shutdown()

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    speaker.join(LAST_WORDS)
    os._exit(status)
