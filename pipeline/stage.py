"""How a stage is declared: what it does to documents, and its default size."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import anyio.lowlevel
from msgspec import Struct

from pipeline.document import Document
from pipeline.errors import RetryableError, SynqupError
from pipeline.source import Source

T = TypeVar("T")

#: What became of one document in a stage: the document for the next one, or why there is none.
Result = Document[Any] | SynqupError

#: Takes some documents and gives each one's result, in the same order. An OSError or a
#: RetryableError leaves a document for later, another SynqupError is final for it; any other
#: exception is a bug, after which each document is tried again alone. It may be given again what
#: it has been given before, in any state in which it left that when it raised.
Work = Callable[[Sequence[Document[Any]]], Awaitable[list[Result]]]

#: How often the engine has a document fetched again of which a stage says that it is Corrupt.
REFETCHES = 2

MEBIBYTE = 1024 * 1024

#: Seconds of one document after another after which it is the turn of others.
SLICE = 0.005


class RetryFetch(Protocol):
    """Runs a fetch from a source and decides how often it is tried: what the engine gives a stage.

    Raises as `work` does; a RetryableError also while the source is out of order.
    """

    def __call__(self, source: Source, work: Callable[[], Awaitable[T]], /) -> Awaitable[T]:
        """Await `work` until it succeeds or is not to be tried any more; return what it returns."""


class Bound(Struct, frozen=True):
    """The room of a queue, in documents and in bytes of memory."""

    documents: int
    bytes: int


class Stage(Struct, frozen=True):
    """One step of the flow. Its place in the tuple of stages is its place in the flow.

    workers: how many work at once. queue: the bound of what waits for them and of what they have
    in hand. group: the most documents one worker takes at a time. linger: seconds that it waits for
    others to go along with those that are there, unless they are as many.
    """

    name: str
    work: Work
    workers: int = 1
    queue: Bound = Bound(64, 16 * MEBIBYTE)
    group: int = 1
    linger: float = 0.0


def one_by_one(process: Callable[[Any], Awaitable[Document[Any]]]) -> Work:
    """Make the work of a stage out of a function that takes one document and raises."""

    async def work(documents: Sequence[Document[Any]]) -> list[Result]:
        results: list[Result] = []
        began = time.perf_counter()
        for document in documents:
            # After the last one whoever takes the next ones looks around by itself.
            if results and time.perf_counter() - began > SLICE:
                await anyio.lowlevel.checkpoint()
                began = time.perf_counter()
            results.append(await attempt(process, document))
        return results

    return work


async def attempt(
    process: Callable[[Any], Awaitable[Document[Any]]], document: Document[Any]
) -> Result:
    """The document that comes out, or the reason why none does; a bug is let through."""
    try:
        return await process(document)
    except SynqupError as error:
        return error
    except OSError as error:
        return retryable_os_error(document.entry.label, error)


def retryable_os_error(subject: str, error: OSError) -> RetryableError:
    """Put into words what the operating system refused: a full disk, a missing folder."""
    # Of two names it is the second, where the document was to stand, that a person can mend.
    path = error.filename2 or error.filename
    where = f" ({path})" if path else ""
    return RetryableError(
        subject,
        f"the system says: {error.strerror or str(error) or type(error).__name__}{where}",
        "Mend the disk or the folder; the document will be retried at the next poll",
    )
