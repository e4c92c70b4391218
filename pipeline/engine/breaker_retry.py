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

    While the source is suspect one try is enough. When the breaker gives the source up, the tries
    of all its documents end at once, with the latest failure of each.
    """

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        #: The scopes of what is tried again or waits for the next try, by the source's name.
        self._retrying: dict[str, set[anyio.CancelScope]] = {}

    async def __call__(self, source: Source, work: Callable[[], Awaitable[T]], /) -> T:
        """Await `work` until it succeeds or is not to be tried any more; raises as `work` does.

        RetryableError, without a try, while the source is given up.
        """
        name = source.name
        if (latest := self._breaker.give_up_reason(name)) is not None:
            self._cancel(name)
            raise RetryableError(f"source {name}", latest.reason, latest.remedy)
        try:
            return await work()
        except SynqupError as error:
            self._record(name, error)
            if self._breaker.is_suspect(name):
                raise
            first: SynqupError | None = error
            last: SynqupError = error

        async def again() -> T:
            nonlocal first, last
            if first is not None:
                # The policy is to count the try above as its first one.
                failed, first = first, None
                raise failed
            try:
                return await work()
            except SynqupError as error:
                last = error
                self._record(name, error)
                raise

        retrying = self._retrying.setdefault(name, set())
        with anyio.CancelScope() as scope:
            retrying.add(scope)
            try:
                return await source.retries.run(again)
            finally:
                retrying.discard(scope)
        raise last

    def _record(self, source: str, error: SynqupError) -> None:
        if self._breaker.record_try(source, error):
            self._cancel(source)

    def _cancel(self, source: str) -> None:
        for scope in self._retrying.get(source, ()):
            scope.cancel()
