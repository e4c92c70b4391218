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


def run_loop(work: Callable[[], Awaitable[T]]) -> T:
    """Run the work of a whole process in an event loop, after all that it needs is imported.

    Of a group of errors it raises the first, which caused the others. KeyboardInterrupt where a
    signal has cancelled the work.
    """
    signal_handlers.stop_interrupting()
    # What has been imported stays: to look through it at each collection takes 50 ms, and so does
    # one collection now, which would find hardly anything.
    gc.freeze()
    try:
        return anyio.run(work)
    except CancelledError:
        # Nothing else than a signal cancels the work as a whole.
        raise KeyboardInterrupt from None
    except BaseExceptionGroup as group:
        raise _first_error(group) from None


def run_briefly(work: Callable[[], Awaitable[T]]) -> T:
    """Run a part of the work of a command in an event loop; a signal interrupts all of it.

    Errors as of run_loop().
    """
    try:
        return anyio.run(work)
    except BaseExceptionGroup as group:
        raise _first_error(group) from None


def _first_error(group: BaseException) -> BaseException:
    errors = (one for one in leaf_exceptions(group) if not isinstance(one, CancelledError))
    return next(errors, KeyboardInterrupt())
