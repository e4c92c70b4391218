"""Contract of a stage: the work that it does on documents, and its default size."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import anyio.lowlevel
from msgspec import Struct

from pipeline.document import Document
from pipeline.errors import RetryableError, SynqupError
from pipeline.files import os_reason, os_remedy
from pipeline.source import Source

T = TypeVar("T")

#: The result of a stage for one document: the document for the next stage, or why there is none.
Result = Document[Any] | SynqupError

#: Takes documents and returns each one's result, in the same order; pipeline/errors.py says what
#: each error means for its document. It may raise StateError, which ends the program, and OSError,
#: after which all of them wait. Any other exception is a bug, after which each document is tried
#: again alone: it may then be called with the same documents, in whatever state it has left them.
Work = Callable[[Sequence[Document[Any]]], Awaitable[list[Result]]]

#: How often the engine has a document fetched again of which a stage says that it is Corrupt.
REFETCHES = 2

MEBIBYTE = 1024 * 1024

#: Seconds of work on one document after another before other tasks get their turn.
SLICE = 0.005


class RetryFetch(Protocol):
    """Runs a fetch from a source and decides how often it is tried: what the engine gives a stage.

    Raises as `work` does; a RetryableError also while the source is out of order, or serves nothing
    of the company whose document it is.
    """

    def __call__(
        self, source: Source, work: Callable[[], Awaitable[T]], company: str = "", /
    ) -> Awaitable[T]:
        """Await `work` until it succeeds or is not to be tried any more; return what it returns."""


class Instrument(Protocol):
    """Wraps the work of a part of the engine, once, to measure it or to slow it down.

    name: of the stage, or "acknowledge". Without an instrument nothing is wrapped.
    """

    def __call__(
        self, name: str, work: Callable[..., Awaitable[T]], /
    ) -> Callable[..., Awaitable[T]]:
        """A function that does the same."""


class Bound(Struct, frozen=True):
    """The bound of a queue, in documents and in bytes of memory."""

    documents: int
    bytes: int


class Stage(Struct, frozen=True):
    """One step of the flow, whose place in the tuple of stages is its place in the flow.

    workers: how many work at once; None stands for one for each request that the sources take at
    once. queue: the bound of the documents that wait for them or are being worked on, where workers
    is None of those that wait. group: the most documents that one worker takes at a time. linger:
    seconds that it waits for more documents when it has fewer than that, unless the first of them
    ends a pause. asks: whether the work waits for the sources of the documents, which may hang.
    Each of several sources then has workers of its own: as many as a single one, or where workers
    is None one for each request that it takes at once. The first stage asks in any case.
    """

    name: str
    work: Work
    workers: int | None = 1
    queue: Bound = Bound(64, 16 * MEBIBYTE)
    group: int = 1
    linger: float = 0.0
    asks: bool = False


def one_by_one(process: Callable[[Any], Awaitable[Document[Any]]]) -> Work:
    """Make the work of a stage of a function that takes one document, and returns it or raises."""

    async def work(documents: Sequence[Document[Any]]) -> list[Result]:
        results: list[Result] = []
        began = time.perf_counter()
        for document in documents:
            # Not after the last one: taking the next group from the queue gives others their turn.
            if results and time.perf_counter() - began > SLICE:
                await anyio.lowlevel.checkpoint()
                began = time.perf_counter()
            results.append(await attempt(process, document))
        return results

    return work


async def attempt(
    process: Callable[[Any], Awaitable[Document[Any]]], document: Document[Any]
) -> Result:
    """Return the document that `process` returns or the error that it raises; raises its bugs."""
    try:
        return await process(document)
    except SynqupError as error:
        return error
    except OSError as error:
        return retryable_os_error(document.entry.label, error)


def retryable_os_error(subject: str, error: OSError) -> RetryableError:
    """The error of a document that the operating system has refused something: a full disk, say."""
    # Of two names the second one, where the document was to go, is the one that a user knows.
    path = error.filename2 or error.filename
    where = f" ({path})" if path else ""
    return RetryableError(
        subject,
        f"the system says: {os_reason(error)}{where}",
        os_remedy(
            error, "Repair the disk or the folder; the document will be retried at the next poll"
        ),
    )
