"""Monitor: keeps the server of [monitor] running as configured, and tries again where it can't.

Whatever happens to it concerns no document: it never raises, and the service goes on without it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import structlog

from pipeline.config.monitor import Address, MonitorSettings
from pipeline.config.secrets import SecretMissing
from pipeline.engine.observer import Observer
from pipeline.files import os_reason
from pipeline.health.collector import Collector, Deliveries
from pipeline.monitor.page.parts import Parts

if TYPE_CHECKING:  # it takes longer to import than all that one poll does
    from pipeline.monitor.page.site import Site

log = structlog.get_logger(__name__)

#: Seconds until an address that can't be listened at is tried again.
RETRY = 15.0

_REMEDIES = {
    errno.EADDRINUSE: "Stop the program that listens there, or write another port into [monitor]",
    errno.EACCES: "Write a port above 1023 into [monitor], or let this account listen there",
    errno.EADDRNOTAVAIL: "Write an address of this machine into [monitor]",
}


class Monitor:
    """The server of [monitor], if there is to be one. For the event loop alone."""

    def __init__(
        self,
        settings: MonitorSettings,
        collector: Collector,
        observer: Observer,
        deliveries: Deliveries,
        page: Parts | None = None,
    ) -> None:
        """page: of what the page tells; None: there is none."""
        self._settings = settings
        self._parts = (collector, observer, deliveries)
        self._page = page
        #: The page at this moment.
        self.site: Site | None = None
        self._applied = anyio.Event()
        #: Where it listens at this moment.
        self.addresses: Sequence[Address] = ()

    def apply(self, settings: MonitorSettings) -> None:
        """Serve by other settings from now on; those who are being answered are cut off."""
        if settings != self._settings:
            self._settings = settings
            self._applied.set()
            self._applied = anyio.Event()

    def invite(self, name: str) -> str | None:
        """The address at which somebody is signed in to act, once, soon; None where there is none.

        name: his, as the ledger is to record what he does.
        """
        if not self.addresses or self.site is None:
            return None
        address = self.addresses[0]
        host = "127.0.0.1" if address.host in ("0.0.0.0", "::") else address.host  # noqa: S104 - compared
        code = self.site.access.invite(name)
        return f"http://{Address(host, address.port)}/open?code={code}"

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            async with anyio.create_task_group() as group:
                applied = self._applied
                group.start_soon(self._serve, self._settings)
                await applied.wait()
                group.cancel_scope.cancel()

    async def _serve(self, settings: MonitorSettings) -> None:
        """Listen; where that is not possible, say so once and try again."""
        if settings.address is None:
            return
        reported = ""
        while True:
            try:
                await self._listen(settings)
            except Exception as error:
                reason, remedy = _words(error)
                if reason != reported:
                    reported = reason
                    log.error(
                        "the monitor can't listen",
                        address=settings.listen,
                        reason=reason,
                        remedy=f"{remedy}; it will be tried again",
                        exc_info=None if isinstance(error, OSError | SecretMissing) else error,
                    )
            await anyio.sleep(RETRY)

    async def _listen(self, settings: MonitorSettings) -> None:
        # Not before it is needed, and in a thread: it takes longer than all that one poll does.
        server: Any = await anyio.to_thread.run_sync(import_module, "pipeline.monitor.server")
        async with server.listening(settings, *self._parts, self._page) as listening:
            self.addresses, self.site = listening.addresses, listening.site
            log.info("the monitor listens", address=", ".join(map(str, self.addresses)))
            try:
                await anyio.sleep_forever()
            finally:
                self.addresses, self.site = (), None


def _words(error: Exception) -> tuple[str, str]:
    """Why it can't listen, and what to do."""
    if isinstance(error, SecretMissing):
        return f"{error.subject}: {error.reason}", error.remedy
    if isinstance(error, socket.gaierror):
        return os_reason(error), _REMEDIES[errno.EADDRNOTAVAIL]
    if isinstance(error, OSError):
        # asyncio puts the address, and its own words, in front of the system's.
        said = os_reason(error).rpartition(": ")[2]
        return said, _REMEDIES.get(error.errno or 0, "Look at listen in [monitor]")
    return f"a fault of synqup's own ({type(error).__name__}: {error})", "Send the log to support"
