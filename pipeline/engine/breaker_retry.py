"""Retry under a circuit breaker: decides how often the fetch of a document is tried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from pipeline.engine.breaker import Breaker
from pipeline.errors import RetryableError, SynqupError
from pipeline.source import Source

T = TypeVar("T")


class BreakerRetry:
    """Tries a fetch as often as the `retries` of its source and the breaker allow.

    While the source, or the company, is suspect one try is enough. When the breaker gives it up,
    the tries of all its documents end at once, with the latest failure of each.
    """

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        #: The scopes of what is tried again or waits for the next try, by source and company.
        self._retrying: dict[tuple[str, str], set[anyio.CancelScope]] = {}

    async def __call__(
        self, source: Source, work: Callable[[], Awaitable[T]], company: str = "", /
    ) -> T:
        """Await `work` until it succeeds or is not to be tried any more; raises as `work` does.

        RetryableError, without a try, while the source, or the company, is given up.
        """
        name = source.name
        if (latest := self._breaker.give_up_reason(name)) is not None:
            self._cancel(name)
            raise RetryableError(f"source {name}", latest.reason, latest.remedy)
        if (latest := self._breaker.companies.refusal(name, company)) is not None:
            self._cancel(name)
            subject = f"company {company} at source {name}"
            raise RetryableError(subject, latest.reason, latest.remedy)
        began = self._breaker.now()
        try:
            return await work()
        except SynqupError as error:
            self._record(name, error, company, began)
            if self._breaker.is_suspect(name, company):
                raise
            first: SynqupError | None = error
            last: SynqupError = error

        async def again() -> T:
            nonlocal first, last
            if first is not None:
                # The policy is to count the try above as its first one.
                failed, first = first, None
                raise failed
            again_began = self._breaker.now()
            try:
                return await work()
            except SynqupError as error:
                last = error
                self._record(name, error, company, again_began)
                raise

        retrying = self._retrying.setdefault((name, company), set())
        with anyio.CancelScope() as scope:
            retrying.add(scope)
            try:
                return await source.retries.run(again)
            finally:
                retrying.discard(scope)
        raise last

    def _record(self, source: str, error: SynqupError, company: str, began: float) -> None:
        if self._breaker.record_try(source, error, company, began):
            self._cancel(source)

    def _cancel(self, source: str) -> None:
        """End the tries of what is given up of a source."""
        is_source = self._breaker.give_up_reason(source) is not None
        given_up = self._breaker.companies.given_up(source)
        for (name, company), scopes in self._retrying.items():
            if name == source and (is_source or company in given_up):
                for scope in scopes:
                    scope.cancel()
