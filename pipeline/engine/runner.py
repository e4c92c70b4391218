"""A stage at work: its queue, its workers, and what becomes of documents when a bug hits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pipeline.document import Document
from pipeline.engine.breaker import Breaker
from pipeline.engine.error_reporter import ErrorReporter, internal_reason
from pipeline.engine.queue import Queue
from pipeline.errors import InternalError, Rejected, StateError, SynqupError
from pipeline.stage import Bound, Result, Stage, retryable_os_error

#: Documents of a source that bugs may hit in a row before the source is stopped for this poll.
BUGS = 8


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
    """A stage at work: its queue, and how many workers it has and ought to have.

    A bug that hits a group of documents hits each of them alone as well, or only those that it
    concerns: so each is tried alone, and one that fails alone twice is taken for the culprit. It is
    set aside where the stage has passed other documents of its source since the last such one. It
    waits where it has not, for then nothing tells the document's fault from the stage's; so do all
    others of the source after BUGS of them in a row.
    """

    def __init__(self, stage: Stage, breaker: Breaker, error_reporter: ErrorReporter) -> None:
        self.stage = stage
        self.queue: Queue[Document[Any]] = Queue(stage.queue)
        self.wanted = stage.workers
        self.active = 0
        self._breaker = breaker
        self._error_reporter = error_reporter
        #: How many bugs have hit the documents of each source, in all and since the last passed.
        self._bugs: dict[str, int] = {}
        self._in_a_row: dict[str, int] = {}
        #: The sources of which a document has passed since the last bug.
        self._passing: set[str] = set()

    def resize(self, size: Size | None) -> None:
        """Apply the configured size, or the stage's own where it says nothing."""
        own = self.stage
        self.wanted = (size and size.workers) or own.workers
        self.queue.resize(
            Bound(
                (size and size.queue) or own.queue.documents,
                (size and size.queue_bytes) or own.queue.bytes,
            )
        )

    async def work(self, documents: Sequence[Document[Any]]) -> Sequence[Result]:
        """Each document's result, in order, whatever the stage raises. StateError alone is raised.

        Of a source that a fault of synqup's own has stopped, all wait.
        """
        if self._breaker.stopped and any(self._stopped(one) for one in documents):
            going = [one for one in documents if not self._stopped(one)]
            results = iter(await self.work(going) if going else ())
            # One that has been worked on keeps its result, if its source was stopped meanwhile.
            held = set(map(id, documents)) - set(map(id, going))
            return [self._waits(one) if id(one) in held else next(results) for one in documents]
        before = self._bugs.copy()
        try:
            return self._looked_through(documents, await self.stage.work(documents), before)
        except StateError:
            raise
        except OSError as error:
            return [retryable_os_error(document.entry.label, error) for document in documents]
        except Exception as error:  # noqa: BLE001 - a bug, or what a stage was to return
            if len(documents) == 1:
                return [await self._once_more(documents[0], error)]
            self._error_reporter.report(self._place, error)
            return [
                self._waits(one) if self._stopped(one) else await self._alone(one, 2)
                for one in documents
            ]

    def _looked_through(
        self,
        documents: Sequence[Document[Any]],
        results: Sequence[Result],
        before: Mapping[str, int],
    ) -> Sequence[Result]:
        """The results of a stage, if they are any, of which it is noted what has passed.

        before: the bugs when the work began; what began before a bug says nothing of the time
        since then.
        """
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
        try:
            before = self._bugs.copy()
            work = await self.stage.work([document])
            (result,) = self._looked_through([document], work, before)
        except StateError:
            raise
        except OSError as error:
            return retryable_os_error(document.entry.label, error)
        except Exception as error:  # noqa: BLE001 - as in work()
            if tries > 1:
                return await self._once_more(document, error)
            return self._hit(document, error)
        return result

    async def _once_more(self, document: Document[Any], error: Exception) -> Result:
        """A document has failed alone for the first time."""
        words = self._error_reporter.report(self._place, error, document.entry.label)
        return await self._alone(document, 1) if isinstance(words, InternalError) else words

    def _hit(self, document: Document[Any], error: Exception) -> SynqupError:
        """A document has failed alone twice."""
        label, source = document.entry.label, document.key.source
        words = self._error_reporter.report(self._place, error, label)
        if not isinstance(words, InternalError):
            return words
        self._bugs[source] = self._bugs.get(source, 0) + 1
        self._in_a_row[source] = self._in_a_row.get(source, 0) + 1
        why = f"{self._place} failed on it twice by {internal_reason(error)}"
        if source in self._passing:
            self._passing.discard(source)
            return Rejected(label, why, "Send the log and the document to support")
        fault = InternalError(label, why)
        if self._in_a_row[source] >= BUGS:
            del self._in_a_row[source]
            self._breaker.stop(
                source,
                InternalError(
                    f"source {source}", f"{self._place} fails by {internal_reason(error)}"
                ),
            )
        return fault

    def _stopped(self, document: Document[Any]) -> bool:
        return document.key.source in self._breaker.stopped

    def _waits(self, document: Document[Any]) -> InternalError:
        fault = self._breaker.stopped[document.key.source]
        return InternalError(document.entry.label, fault.reason)

    @property
    def _place(self) -> str:
        return f"stage {self.stage.name}"
