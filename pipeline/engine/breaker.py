"""Circuit breaker: decides for each source whether it is worth fetching from in this poll.

It is closed, suspect or open. It opens for failures that concern the whole source, by their number
or by their duration, and for faults of synqup's own. Each poll begins with a closed one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from pipeline.engine.company_breaker import SUSPECT_AFTER, CompanyBreaker
from pipeline.errors import (
    InternalError,
    RetryableError,
    SignInRefused,
    SourceUnavailable,
    SourceUnreachable,
    SynqupError,
)

#: Documents, and seconds, that fail in a row before the source is given up for this poll.
GIVE_UP_AFTER = 128
GIVE_UP_SECONDS = 30.0


class BreakerState(StrEnum):
    """The state of one source."""

    CLOSED = "closed"
    SUSPECT = "suspect"
    OPEN = "open"


class _Failures:
    """Failures in a row: documents, tries, the time of the first one, and the latest one.

    companies: whose documents they were, where they may be the trouble of a company alone.
    is_of_all: whether one of them can be nobody's alone.
    """

    def __init__(self, since: float, latest: SynqupError) -> None:
        self.documents = 0
        self.tries = 0
        self.since = since
        self.latest = latest
        self.companies: set[str] = set()
        self.is_of_all = False


class Breaker:
    """The circuit breakers of all sources, by their names.

    It tells what concerns one document from what concerns its whole source. A source that refuses
    a document (403), or sends it damaged, is at work: only that document waits. A source that
    doesn't answer, can't be reached, is overloaded or refuses the sign-in may be out of order; each
    document that it does serve shows that it is not. After SUSPECT_AFTER failures in a row it is
    suspect: each further document is tried once only, which soon tells a source that is out of
    order from one that fails a part of its documents, even where they come in a row. The breaker
    opens when a source serves nothing among GIVE_UP_AFTER documents or for GIVE_UP_SECONDS; and,
    once nothing of a suspect source is in flight any more, when it has served nothing in the whole
    poll. Where a source is polled for several companies it does neither by the failures of one of
    them alone: that company is given up, and the others go on (`company_breaker`).

    A fault of synqup's own opens it at once by stop().
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        #: The first fault of synqup's own that kept anything from being done.
        self.fault: InternalError | None = None
        #: The sources that such a fault has stopped for this poll.
        self.stopped: dict[str, InternalError] = {}
        self._faults: dict[str, InternalError] = {}
        self._failures: dict[str, _Failures] = {}
        self._served: set[str] = set()
        self._clock = clock
        #: The companies of sources that are polled for several.
        self.companies = CompanyBreaker(clock)

    def record_failure(self, source: str, error: SynqupError, company: str = "") -> None:
        """Count a document of the source that has to wait for this reason."""
        if isinstance(error, InternalError):
            self.record_fault(source, error)
        elif _concerns_source(error):
            failures = self._in_a_row(source, error, company)
            failures.documents += 1
            failures.tries = max(failures.tries, failures.documents)
            self.companies.record_document(source, company)

    def record_try(
        self, source: str, error: SynqupError, company: str = "", began: float | None = None
    ) -> bool:
        """Count a try that has failed; return whether that gives the source up, or the company.

        began: when, by the clock; by default just now.
        """
        if not _concerns_source(error):
            self.companies.record_answer(source, company)
            return False
        self._in_a_row(source, error, company).tries += 1
        began = self._clock() if began is None else began
        is_company = self.companies.record_try(source, company, error, began)
        return self._is_given_up(source) or is_company

    def record_success(self, source: str, company: str = "") -> None:
        """The source has served a document."""
        self._served.add(source)
        self._failures.pop(source, None)
        self.companies.record_success(source, company)

    def record_fault(self, source: str, fault: InternalError) -> None:
        """A fault of synqup's own has kept something of this source from being done."""
        self.fault = self.fault or fault
        self._faults.setdefault(source, fault)

    def stop(self, source: str, fault: InternalError) -> None:
        """Open for a fault of synqup's own, until reset()."""
        self.record_fault(source, fault)
        self.stopped.setdefault(source, fault)

    def now(self) -> float:
        """The time by its clock, in seconds."""
        return self._clock()

    def reset(self, source: str, *, several: bool = False) -> None:
        """Close it, since a new poll begins, which finds out anew whether the source serves.

        several: whether it is polled for several companies.
        """
        self.companies.reset(source, several=several)
        self._failures.pop(source, None)
        self._served.discard(source)
        self._faults.pop(source, None)
        self.stopped.pop(source, None)

    def is_suspect(self, source: str, company: str = "") -> bool:
        """Whether one try of each document is enough, until one is served."""
        if self.companies.is_suspect(source, company):
            return True
        failures = self._failures.get(source)
        return failures is not None and failures.documents >= SUSPECT_AFTER and self._is_its(source)

    def give_up_reason(self, source: str) -> SynqupError | None:
        """The latest failure of a source of which nothing more is to be tried; else None."""
        if source not in self._failures or not self._is_given_up(source):
            return None
        return self._failures[source].latest

    def open_reason(self, source: str, *, idle: bool) -> SynqupError | None:
        """Why it is open; None if it is not. idle: nothing of the source is in flight."""
        if source in self.stopped:
            return self.stopped[source]
        if source not in self._failures:
            return None
        in_vain = idle and self.is_suspect(source) and source not in self._served
        is_open = in_vain or self._is_given_up(source)
        return self._failures[source].latest if is_open else None

    def fault_of(self, source: str) -> InternalError | None:
        """The first fault of synqup's own that the source has met in this poll."""
        return self._faults.get(source)

    def state(self, source: str, *, idle: bool) -> BreakerState:
        """Its state. idle: as in open_reason()."""
        if self.open_reason(source, idle=idle) is not None:
            return BreakerState.OPEN
        return BreakerState.SUSPECT if self.is_suspect(source) else BreakerState.CLOSED

    def sources(self) -> set[str]:
        """The sources of which it has recorded anything since their last reset."""
        return self._failures.keys() | self._served | self._faults.keys() | self.stopped.keys()

    def _in_a_row(self, source: str, error: SynqupError, company: str) -> _Failures:
        """The failures in a row of a source, of which this is the latest."""
        failures = self._failures.get(source)
        if failures is None:
            failures = self._failures[source] = _Failures(self._clock(), error)
        failures.latest = error
        if self.companies.counts(source, company) and not _concerns_all(error):
            failures.companies.add(company)
        else:
            failures.is_of_all = True
        return failures

    def _is_its(self, source: str) -> bool:
        """Whether its failures are not those of one company of several alone."""
        failures = self._failures[source]
        return failures.is_of_all or len(failures.companies) > 1

    def _is_given_up(self, source: str) -> bool:
        if not self._is_its(source):
            return False
        failures = self._failures[source]
        seconds = self._clock() - failures.since
        lasting = failures.tries >= SUSPECT_AFTER and seconds >= GIVE_UP_SECONDS
        return lasting or failures.documents >= GIVE_UP_AFTER


def _concerns_source(error: SynqupError) -> bool:
    if isinstance(error, SourceUnavailable | SourceUnreachable | SignInRefused):
        return True
    return isinstance(error, RetryableError) and error.retry_after is not None


def _concerns_all(error: SynqupError) -> bool:
    return isinstance(error, SourceUnreachable | SignInRefused)
