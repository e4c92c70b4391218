"""The process as a whole: how often it collects garbage, and its exit although a thread hangs."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

#: New objects between two collections of the youngest generation. A document makes some hundreds
#: and hardly a cycle: Python's own 700 would collect after every other one, a twentieth of all the
#: time. Imports make still more objects that stay.
GC_THRESHOLD = 20_000
#: Seconds that threads are given to end when the process is to.
THREADS_TIMEOUT = 2.0
#: Seconds that the last output may take: whatever reads it may be gone.
OUTPUT_TIMEOUT = 1.0


def collect_rarely() -> None:
    """Collect garbage as rarely as GC_THRESHOLD says."""
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])


def exit_process(status: int) -> NoReturn:
    """End the process after its threads have ended, or at once where one of them hangs."""
    until = time.monotonic() + THREADS_TIMEOUT
    others = [one for one in threading.enumerate() if one is not threading.current_thread()]
    for thread in others:
        if not thread.daemon:
            thread.join(max(until - time.monotonic(), 0))
    if any(thread.is_alive() and not thread.daemon for thread in others):
        exit_now(status)
    sys.exit(status)


def exit_now(status: int, last_output: Callable[[], None] = lambda: None) -> NoReturn:
    """End the process although threads are at work: the last resort.

    A thread that waits for a dead share never comes back, and nothing can stop it: neither a
    cancellation nor the end of the event loop, and the end of the interpreter waits for it. What
    the ledger holds is safe at each moment, so nothing is lost by leaving.

    last_output: prints what the user still has to read, for at most OUTPUT_TIMEOUT.
    """

    def flush() -> None:
        with contextlib.suppress(Exception):
            last_output()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        logging.shutdown()

    flushing = threading.Thread(target=flush, daemon=True)
    flushing.start()
    flushing.join(OUTPUT_TIMEOUT)
    os._exit(status)
