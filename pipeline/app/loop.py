"""Event-loop runner: runs the work of one command."""

from __future__ import annotations

import gc
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from pipeline.app.signals import signal_handlers
from pipeline.engine.error_reporter import leaf_exceptions

T = TypeVar("T")

#: New objects between two collections of the youngest generation. A document makes some hundreds
#: and hardly a cycle: Python's own 700 would collect after every other one, a twentieth of all the
#: time.
GC_THRESHOLD = 20_000


def run_loop(work: Callable[[], Awaitable[T]]) -> T:
    """Run the work of a whole process in an event loop, after all that it needs is imported.

    Of a group of errors it raises the first, which caused the others. KeyboardInterrupt where a
    signal has cancelled the work.
    """
    signal_handlers.stop_interrupting()
    # What has been imported stays: to look through it again at each collection takes 50 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    try:
        return anyio.run(work)
    except CancelledError:
        # Nothing else than a signal cancels the work as a whole.
        raise KeyboardInterrupt from None
    except BaseExceptionGroup as group:
        raise _first_error(group) from None


def _first_error(group: BaseException) -> BaseException:
    errors = (one for one in leaf_exceptions(group) if not isinstance(one, CancelledError))
    return next(errors, KeyboardInterrupt())
