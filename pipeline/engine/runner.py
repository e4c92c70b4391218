"""Stage runner: a stage with its queue and its workers, and the containment of its bugs.

A bug is any exception that a stage may not raise. It costs as few documents as possible, and never
the process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from pipeline.document import Document
from pipeline.engine.breaker import Breaker
from pipeline.engine.counters import StageCounters
from pipeline.engine.error_reporter import ErrorReporter, internal_reason
from pipeline.engine.fair_queue import FairQueue
from pipeline.engine.queue import Queue
from pipeline.errors import InternalError, Rejected, StateError, SynqupError
from pipeline.stage import Bound, Instrument, Result, Stage, retryable_os_error

#: Documents of a source that fail by bugs in a row before the source is stopped for this poll.
STOP_AFTER = 8


class Size(Protocol):
    """A stage's size as the configuration gives it; None keeps the stage's own."""

    @property
    def workers(self) -> int | None:
        """How many work at once."""

    @property
    def queue(self) -> int | None:
        """Documents in the queue and in hand."""

    @property
    def queue_bytes(self) -> int | None:
        """Bytes in the queue and in hand."""


class StageRunner:
    """A stage at work: its queue, its counters, and how many workers it has and is to have.

    When a bug hits a group of documents, each of them is tried alone, because the bug may concern
    some of them only. A document that fails alone twice is taken for the cause. It is quarantined
    if the stage has passed other documents of its source since the last such one. Otherwise it
    waits, for nothing tells a fault of the document from one of the stage; after STOP_AFTER of them
    in a row all others of the source wait as well.

    active: workers that it has, of which some are busy and the others wait for documents. wanted:
    workers that it is to have at most. instrument: is put around the work of the stage.
    """

    def __init__(
        self,
        stage: Stage,
        breaker: Breaker,
        error_reporter: ErrorReporter,
        instrument: Instrument | None = None,
        queue: Queue[Document[Any]] | None = None,
    ) -> None:
        self.stage = stage
        self.queue: Queue[Document[Any]] = queue or Queue(stage.queue)
        self.counters = StageCounters()
        self.wanted = stage.workers or 1
        self.active = self.busy = 0
        self._stage_work = instrument(stage.name, stage.work) if instrument else stage.work
        self._breaker = breaker
        self._error_reporter = error_reporter
        #: How many documents of each source have failed by bugs: in all, and since one has passed.
        self._bugs: dict[str, int] = {}
        self._in_a_row: dict[str, int] = {}
        #: The sources of which a document has passed since the last one failed.
        self._passing: set[str] = set()

    @property
    def most(self) -> int:
        """Workers that it may have now: those that are busy for retired sources come on top."""
        return self.wanted + self.queue.aside

    def resize(
        self,
        size: Size | None,
        connections: int,
        shares: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Apply the configured size, or the stage's own where it says nothing.

        connections: requests that the sources take at once. shares: as in Engine.resize().
        """
        own = self.stage
        self.wanted = (size and size.workers) or own.workers or connections
        in_hand = 0 if own.workers else self.wanted
        if isinstance(self.queue, FairQueue):
            # Where the stage has workers of its own, each source has as many as a single one.
            each = dict.fromkeys(shares, self.wanted) if own.workers else shares
            self.wanted = max(self.wanted, sum(each.values()))
            self.queue.share(each, self.wanted)
        self.queue.resize(
            Bound(
                (size and size.queue) or own.queue.documents + in_hand,
                (size and size.queue_bytes) or own.queue.bytes,
            )
        )

    def lacking(self) -> int:
        """How many more workers it needs, as far as it may have them.

        That is one for each document that waits, and one more, which takes the next to come.
        """
        idle = self.active - self.busy
        return min(self.queue.waiting + 1 - idle, self.most - self.active)

    async def work(self, documents: Sequence[Document[Any]]) -> Sequence[Result]:
        """Return each document's result, in order, whatever the stage raises.

        Documents of a source that a fault of synqup's own has stopped wait. Raises StateError only.
        """
        if self._breaker.stopped and any(self._is_stopped(one) for one in documents):
            # Said now: while the others are worked on, a source may be stopped, or a poll may let
            # it go on.
            waiting = {
                id(one): self._stopped_error(one) for one in documents if self._is_stopped(one)
            }
            going = [one for one in documents if id(one) not in waiting]
            results = iter(await self.work(going) if going else ())
            return [waiting.get(id(one)) or next(results) for one in documents]
        try:
            return await self._run(documents)
        except StateError:
            raise
        except OSError as error:
            return [retryable_os_error(document.entry.label, error) for document in documents]
        except Exception as error:  # noqa: BLE001 - a bug of the stage
            if len(documents) == 1:
                return [await self._retry_alone(documents[0], error)]
            self._error_reporter.report(self._place, error)
            return [
                self._stopped_error(one) if self._is_stopped(one) else await self._alone(one, 2)
                for one in documents
            ]

    async def _run(self, documents: Sequence[Document[Any]]) -> Sequence[Result]:
        """Return the results of the stage, checked, and note which sources' documents have passed.

        Raises whatever the stage raises, and if it has not returned results.
        """
        # Work that began before a bug does not show that the stage has passed anything since.
        before = self._bugs.copy()
        results = await self._stage_work(documents)
        if len(results) != len(documents):
            raise RuntimeError(f"{len(results)} results of {len(documents)} documents")
        passed = set()
        for document, result in zip(documents, results, strict=True):
            if isinstance(result, Document):
                passed.add(document.key.source)
            elif not isinstance(result, SynqupError):
                raise TypeError(f"{type(result).__name__} is no result")
        for source in passed:
            if self._bugs.get(source) == before.get(source):
                self._passing.add(source)
                self._in_a_row.pop(source, None)
        return results

    async def _alone(self, document: Document[Any], tries: int) -> Result:
        """Work on one document, at most `tries` times."""
        try:
            (result,) = await self._run([document])
        except StateError:
            raise
        except OSError as error:
            return retryable_os_error(document.entry.label, error)
        except Exception as error:  # noqa: BLE001 - as in work()
            if tries > 1:
                return await self._retry_alone(document, error)
            return self._failed_twice(document, error)
        return result

    async def _retry_alone(self, document: Document[Any], error: Exception) -> Result:
        """Try a document again that has failed alone for the first time, if it was by a bug."""
        reported = self._error_reporter.report(self._place, error, document.entry.label)
        return await self._alone(document, 1) if isinstance(reported, InternalError) else reported

    def _failed_twice(self, document: Document[Any], error: Exception) -> SynqupError:
        """The result of a document that has failed alone twice."""
        label, source = document.entry.label, document.key.source
        reported = self._error_reporter.report(self._place, error, label)
        if not isinstance(reported, InternalError):
            return reported
        self._bugs[source] = self._bugs.get(source, 0) + 1
        self._in_a_row[source] = self._in_a_row.get(source, 0) + 1
        why = f"{self._place} failed on it twice by {internal_reason(error)}"
        if source in self._passing:
            self._passing.discard(source)
            return Rejected(label, why, "Send the log and the document to support")
        fault = InternalError(label, why)
        if self._in_a_row[source] >= STOP_AFTER:
            del self._in_a_row[source]
            self._breaker.stop(
                source,
                InternalError(
                    f"source {source}", f"{self._place} fails by {internal_reason(error)}"
                ),
            )
        return fault

    def _is_stopped(self, document: Document[Any]) -> bool:
        return document.key.source in self._breaker.stopped

    def _stopped_error(self, document: Document[Any]) -> InternalError:
        fault = self._breaker.stopped[document.key.source]
        return InternalError(document.entry.label, fault.reason)

    @property
    def _place(self) -> str:
        return f"stage {self.stage.name}"
