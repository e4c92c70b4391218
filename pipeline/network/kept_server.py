"""Kept server: keeps a server listening as configured, and tries again where it can't.

Whatever happens to it concerns no document: it never raises, and the service goes on without it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import anyio
import structlog

from pipeline.config.monitor import Address
from pipeline.config.secrets import SecretMissing
from pipeline.files import os_reason

log = structlog.get_logger(__name__)

#: Seconds until an address that can't be listened at is tried again.
RETRY = 15.0

_REMEDIES = {
    errno.EADDRINUSE: "Stop the program that listens there, or write another port into {}",
    errno.EACCES: "Write a port above 1023 into {}, or let this account listen there",
    errno.EADDRNOTAVAIL: "Write an address of this machine into {}",
}


class Listening(Protocol):
    """A section of the configuration that says where to listen."""

    @property
    def listen(self) -> str:
        """The address as people read it."""

    @property
    def address(self) -> Address | None:
        """The address; None if there is to be no server."""


S = TypeVar("S", bound=Listening)


class KeptServer(Generic[S]):
    """One server of the service. For the event loop alone.

    name: what it is, for people: "the monitor". section: of the configuration: "[monitor]". serve:
    listens as a section says until it is cancelled; raises OSError or SecretMissing where it can't.
    """

    def __init__(
        self, name: str, section: str, settings: S, serve: Callable[[S], Awaitable[None]]
    ) -> None:
        self._failed = f"{name} can't listen"
        self._section = section
        self._settings = settings
        self._serve_once = serve
        self._applied = anyio.Event()

    def apply(self, settings: S) -> None:
        """Listen by other settings from now on, if they are others."""
        if settings != self._settings:
            self._settings = settings
            self._applied.set()
            self._applied = anyio.Event()

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            async with anyio.create_task_group() as group:
                applied = self._applied
                group.start_soon(self._serve, self._settings)
                await applied.wait()
                group.cancel_scope.cancel()

    async def _serve(self, settings: S) -> None:
        """Listen; where that is not possible, say so once and try again."""
        if settings.address is None:
            return
        reported = ""
        while True:
            try:
                await self._serve_once(settings)
            except Exception as error:
                reason, remedy = self._words(error)
                if reason != reported:
                    reported = reason
                    log.error(
                        self._failed,
                        address=settings.listen,
                        reason=reason,
                        remedy=f"{remedy}; it will be tried again",
                        exc_info=None if isinstance(error, OSError | SecretMissing) else error,
                    )
            await anyio.sleep(RETRY)

    def _words(self, error: Exception) -> tuple[str, str]:
        """Why it can't listen, and what to do."""
        if isinstance(error, SecretMissing):
            return f"{error.subject}: {error.reason}", error.remedy
        if isinstance(error, socket.gaierror):
            return os_reason(error), self._remedy(errno.EADDRNOTAVAIL)
        if isinstance(error, OSError):
            # asyncio puts the address, and its own words, in front of the system's.
            said = os_reason(error).rpartition(": ")[2]
            return said, self._remedy(error.errno or 0)
        return (
            f"a fault of synqup's own ({type(error).__name__}: {error})",
            "Send the log to support",
        )

    def _remedy(self, number: int) -> str:
        return _REMEDIES.get(number, "Look at listen in {}").format(self._section)
