"""How patiently a failure that passes is tried again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
from msgspec import Struct

from pipeline.errors import RetryableError, SynqupError

T = TypeVar("T")

#: Seconds for which anybody is left alone who asks for it, at most: a rest of ten years is an
#: error of theirs, and six hours are long enough to find out.
MAX_RETRY_AFTER = 6 * 3600.0


class RetryPolicy(Struct, frozen=True):
    """How often something is tried in all, and the seconds to wait, which double.

    longest_asked: when the other side asks for more seconds than this, we don't wait for it.
    """

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 20.0
    longest_asked: float = 120.0

    async def run(self, work: Callable[[], Awaitable[T]], *also: type[SynqupError]) -> T:
        """Do some work; raises what it failed of the last time.

        also: what is worth another try besides a RetryableError.
        """
        try:
            return await work()
        except SynqupError as error:
            failed: SynqupError | None = error

        def worth(error: Exception) -> bool | float:
            asked = error.retry_after if isinstance(error, RetryableError) else None
            if asked is not None:
                asked = min(asked, MAX_RETRY_AFTER)
                return asked if asked <= self.longest_asked else False
            return isinstance(error, (RetryableError, *also))

        async for attempt in stamina.retry_context(
            on=worth,
            attempts=self.attempts,
            timeout=None,
            wait_initial=self.first_wait,
            wait_max=self.longest_wait,
            wait_jitter=self.first_wait,
        ):
            with attempt:
                if failed is not None:
                    # The first attempt was made above, where it costs nothing to be ready for more.
                    first, failed = failed, None
                    raise first
                return await work()
        raise AssertionError("what the last attempt raised is raised")
