"""Says when a source is worth no further document for now."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from pipeline.errors import (
    InternalError,
    RetryableError,
    SignInRefused,
    SourceUnavailable,
    SynqupError,
)
from pipeline.source import Source

T = TypeVar("T")

#: Documents that a source may fail in a row before it is under suspicion.
SETBACKS = 8
#: Documents, and seconds, that a source may fail in a row before it is given up for this poll.
MOST = 128
LONGEST = 30.0


class _Row:
    """Failures with no success between them: documents, tries, since when, and the latest."""

    def __init__(self, since: float, latest: SynqupError) -> None:
        self.documents = 0
        self.tries = 0
        self.since = since
        self.latest = latest


class Breaker:
    """Tells what concerns one document from what concerns its whole source.

    A source that refuses a document (403), or sends it damaged, is at work: that document waits
    alone. A source that doesn't answer, has too much to do or refuses the sign-in may be out of
    order; each document that it does serve shows that it is not. After SETBACKS failures in a row
    it is under suspicion: each further document is tried once only, which soon tells a source that
    is out of order from one that fails a part of its documents, even where they come in a row. The
    breaker opens when a source serves nothing among MOST documents or for LONGEST seconds, or, in
    the end, has served nothing in the whole poll.

    A fault of synqup's own opens it at once by stop().
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        #: The first fault of synqup's own that kept anything from being done.
        self.fault: InternalError | None = None
        #: The sources that such a fault has stopped for this poll.
        self.stopped: dict[str, InternalError] = {}
        self._faults: dict[str, InternalError] = {}
        self._rows: dict[str, _Row] = {}
        self._served: set[str] = set()
        #: What is tried again, or waits for it.
        self._retrying: dict[str, set[anyio.CancelScope]] = {}
        self._clock = clock

    def record_failure(self, source: str, error: SynqupError) -> None:
        """A document of the source waits for this reason."""
        if isinstance(error, InternalError):
            self.record_fault(source, error)
        elif _concerns_source(error):
            row = self._row(source, error)
            row.documents += 1
            row.tries = max(row.tries, row.documents)

    def record_success(self, source: str) -> None:
        """The source has served a document."""
        self._served.add(source)
        self._rows.pop(source, None)

    def record_fault(self, source: str, fault: InternalError) -> None:
        """A fault of synqup's own has kept something of this source from being done."""
        self.fault = self.fault or fault
        self._faults.setdefault(source, fault)

    def stop(self, source: str, fault: InternalError) -> None:
        """Open for a fault of synqup's own, until reset()."""
        self.record_fault(source, fault)
        self.stopped.setdefault(source, fault)

    def reset(self, source: str) -> None:
        """A new poll begins: let it find out for itself whether the source serves again."""
        self._rows.pop(source, None)
        self._served.discard(source)
        self._faults.pop(source, None)
        self.stopped.pop(source, None)

    async def patiently(self, source: Source, work: Callable[[], Awaitable[T]]) -> T:
        """Fetch a document, as patiently as its source deserves.

        It is tried again as the `retries` of the source say; once while the source is under
        suspicion; and not any more when the source is given up. Raises as `work` does.
        """
        name = source.name
        if self._given_up(name):
            latest = self._rows[name].latest
            raise RetryableError(f"source {name}", latest.reason, latest.remedy)
        try:
            return await work()
        except SynqupError as error:
            self._tried(name, error)
            if self.is_suspect(name):
                raise
            failed: SynqupError | None = error
            last: SynqupError = error

        async def again() -> T:
            nonlocal failed, last
            if failed is not None:
                first, failed = failed, None
                raise first
            try:
                return await work()
            except SynqupError as error:
                last = error
                self._tried(name, error)
                raise

        retrying = self._retrying.setdefault(name, set())
        with anyio.CancelScope() as scope:
            retrying.add(scope)
            try:
                return await source.retries.run(again)
            finally:
                retrying.discard(scope)
        raise last

    def is_suspect(self, source: str) -> bool:
        """Whether one try of each document is enough, until one is served."""
        row = self._rows.get(source)
        return row is not None and row.documents >= SETBACKS

    def open(self, source: str, *, idle: bool) -> SynqupError | None:
        """Why the source is worth no further document; idle: none of its own is in flight."""
        if source in self.stopped:
            return self.stopped[source]
        if source not in self._rows:
            return None
        in_vain = idle and self.is_suspect(source) and source not in self._served
        return self._rows[source].latest if in_vain or self._is_hopeless(source) else None

    def fault_of(self, source: str) -> InternalError | None:
        """The first fault of synqup's own that the source has met in this poll."""
        return self._faults.get(source)

    def _tried(self, source: str, error: SynqupError) -> None:
        """Another try has failed."""
        if _concerns_source(error):
            self._row(source, error).tries += 1
            self._given_up(source)

    def _given_up(self, source: str) -> bool:
        """Whether nothing more is to be tried; then nobody goes on waiting for another try."""
        if source not in self._rows or not self._is_hopeless(source):
            return False
        for scope in self._retrying.get(source, ()):
            scope.cancel()
        return True

    def _row(self, source: str, error: SynqupError) -> _Row:
        row = self._rows.get(source)
        if row is None:
            row = self._rows[source] = _Row(self._clock(), error)
        row.latest = error
        return row

    def _is_hopeless(self, source: str) -> bool:
        row = self._rows[source]
        lasting = row.tries >= SETBACKS and self._clock() - row.since >= LONGEST
        return lasting or row.documents >= MOST


def _concerns_source(error: SynqupError) -> bool:
    if isinstance(error, SourceUnavailable | SignInRefused):
        return True
    return isinstance(error, RetryableError) and error.retry_after is not None
