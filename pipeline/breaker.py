"""Says when a source is worth no further document for now."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from pipeline.errors import OwnFault, PassingError, SignInRefused, SourceUnreachable, SynqupError

#: Documents that a source may fail in a row before it is under suspicion.
SETBACKS = 8
#: Documents, and seconds, that a source may fail in a row before it is given up for this poll.
MOST = 128
LONGEST = 30.0


class _Row(Struct):
    """Failures with no success between them: how many, since when, and the latest."""

    count: int
    since: float
    latest: SynqupError


class Breaker:
    """Tells what concerns one document from what concerns its whole source.

    A source that refuses a document (403), or sends it damaged, is at work: that document waits
    alone. A source that doesn't answer, has too much to do or refuses the sign-in may be out of
    order; each document that it does serve shows that it is not. After SETBACKS failures in a row
    it is under suspicion: each further document is tried once only, which soon tells a source that
    is out of order from one that fails a part of its documents, even where they come in a row. The
    breaker opens when a source under suspicion serves nothing among MOST documents or for LONGEST
    seconds, or has served nothing in the whole poll.

    A fault of synqup's own opens it at once by stop().
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        #: The first fault of synqup's own that kept anything from being done.
        self.fault: OwnFault | None = None
        #: The sources that such a fault has stopped for this poll.
        self.stopped: dict[str, OwnFault] = {}
        self._faults: dict[str, OwnFault] = {}
        self._rows: dict[str, _Row] = {}
        self._served: set[str] = set()
        self._clock = clock

    def record_failure(self, source: str, error: SynqupError) -> None:
        """A document of the source waits for this reason."""
        if isinstance(error, OwnFault):
            self.record_fault(source, error)
        elif _concerns_source(error):
            row = self._rows.setdefault(source, _Row(0, self._clock(), error))
            row.count += 1
            row.latest = error

    def record_success(self, source: str) -> None:
        """The source has served a document."""
        self._served.add(source)
        self._rows.pop(source, None)

    def record_fault(self, source: str, fault: OwnFault) -> None:
        """A fault of synqup's own has kept something of this source from being done."""
        self.fault = self.fault or fault
        self._faults.setdefault(source, fault)

    def stop(self, source: str, fault: OwnFault) -> None:
        """Open for a fault of synqup's own, until reset()."""
        self.record_fault(source, fault)
        self.stopped.setdefault(source, fault)

    def reset(self, source: str) -> None:
        """A new poll begins: let it find out for itself whether the source serves again."""
        self._rows.pop(source, None)
        self._served.discard(source)
        self._faults.pop(source, None)
        self.stopped.pop(source, None)

    def is_suspect(self, source: str) -> bool:
        """Whether one try of each document is enough, until one is served."""
        row = self._rows.get(source)
        return row is not None and row.count >= SETBACKS

    def open(self, source: str, *, idle: bool) -> SynqupError | None:
        """Why the source is worth no further document; idle: none of its own is in flight."""
        if source in self.stopped:
            return self.stopped[source]
        if not self.is_suspect(source):
            return None
        row = self._rows[source]
        hopeless = row.count >= MOST or self._clock() - row.since >= LONGEST
        return row.latest if hopeless or (idle and source not in self._served) else None

    def fault_of(self, source: str) -> OwnFault | None:
        """The first fault of synqup's own that the source has met in this poll."""
        return self._faults.get(source)


def _concerns_source(error: SynqupError) -> bool:
    if isinstance(error, SourceUnreachable | SignInRefused):
        return True
    return isinstance(error, PassingError) and error.retry_after is not None
