"""How patiently a failure that passes is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import stamina
from msgspec import Struct

from pipeline.errors import PassingError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager


class Retries(Struct, frozen=True):
    """How often something is tried in all, and the seconds to wait, which double.

    longest_asked: when the other side asks for more seconds than this, we don't wait for it.
    """

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 20.0
    longest_asked: float = 120.0

    def attempt(self, *also: type[Exception]) -> AsyncIterator[AbstractContextManager[object]]:
        """Give one context for each attempt; what fails in the last one is raised.

        also: what is worth another try besides a PassingError.
        """

        def worth(error: Exception) -> bool | float:
            asked = error.retry_after if isinstance(error, PassingError) else None
            if asked is not None:
                return asked if asked <= self.longest_asked else False
            return isinstance(error, (PassingError, *also))

        return stamina.retry_context(
            on=worth,
            attempts=self.attempts,
            timeout=None,
            wait_initial=self.first_wait,
            wait_max=self.longest_wait,
            wait_jitter=self.first_wait,
        )
