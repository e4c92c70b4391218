"""Retry policy: how often a RetryableError is retried, with exponential backoff and jitter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
from msgspec import Struct

from pipeline.errors import RetryableError, SynqupError

T = TypeVar("T")

#: The longest pause in seconds that the other side can ask for: one of ten years is its mistake,
#: and after six hours it is asked again.
MAX_RETRY_AFTER = 6 * 3600.0


class RetryPolicy(Struct, frozen=True):
    """How often work is tried in all, and the seconds to wait between tries, which double.

    longest_asked: when the other side asks for a longer pause than this, the work is not retried.
    """

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 20.0
    longest_asked: float = 120.0

    async def run(self, work: Callable[[], Awaitable[T]], *also: type[SynqupError]) -> T:
        """Await `work` until it succeeds; raise what the last try raised.

        also: errors that are retried besides RetryableError.
        """
        try:
            return await work()
        except SynqupError as error:
            failed: SynqupError | None = error

        def is_retried(error: Exception) -> bool | float:
            asked = error.retry_after if isinstance(error, RetryableError) else None
            if asked is not None:
                asked = min(asked, MAX_RETRY_AFTER)
                return asked if asked <= self.longest_asked else False
            return isinstance(error, (RetryableError, *also))

        async for attempt in stamina.retry_context(
            on=is_retried,
            attempts=self.attempts,
            timeout=None,
            wait_initial=self.first_wait,
            wait_max=self.longest_wait,
            wait_jitter=self.first_wait,
        ):
            with attempt:
                if failed is not None:
                    # The first try was made above, without the cost of setting up retries.
                    first, failed = failed, None
                    raise first
                return await work()
        raise AssertionError("the last try has returned or raised")
