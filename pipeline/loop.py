"""Runs the one event loop of a process."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Do the work of a whole process, after all that it needs is imported."""
    # What has been imported stays: to look through it again at each collection takes 50 ms.
    gc.collect()
    gc.freeze()
    return anyio.run(work)
