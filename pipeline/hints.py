"""Hints: the contract of what a source is told between two polls, by a push say.

A hint shortens the wait until the next poll and does nothing else: what is lost with it, the poll
after the configured interval finds.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from pipeline.errors import SynqupError


class HintOutcome(StrEnum):
    """What became of a hint, or of a request that would be one.

    POLL: the next poll comes for it. JOINED: that poll was to come for an earlier one already.
    REFUSED: the request had no valid signature, or an old one.
    """

    POLL = "poll"
    JOINED = "joined"
    REFUSED = "refused"


class PushRequest(Struct, frozen=True):
    """A request by which a platform says that it has something new.

    headers: by their names in lower case; one that was sent several times is left out. query: of
    its address, as sent. body: decoded of any transfer coding. came_at: seconds since 1970.
    """

    headers: Mapping[str, str]
    query: str
    body: bytes
    came_at: float


class PushRefused(SynqupError):
    """A push that is not, or can't be known to be, of the platform.

    is_signed: whether it bears a signature, which is wrong or too old.
    """

    reason = "it bears no signature"

    def __init__(
        self, subject: str, reason: str = "", remedy: str = "", *, is_signed: bool = False
    ) -> None:
        """As SynqupError."""
        self.is_signed = is_signed
        super().__init__(subject, reason, remedy)


class Pushed(Protocol):
    """What takes the pushes of one source, and makes hints of them."""

    async def take(self, request: PushRequest) -> bool:
        """Take a push; whether it is the first since the last hint was made. PushRefused."""

    def hints(self) -> AsyncGenerator[str, None]:
        """Yield "" for each push that was taken; for several of them once, if nobody waited."""
