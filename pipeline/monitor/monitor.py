"""Monitor: keeps the server of [monitor] running as configured, and tries again where it can't.

Whatever happens to it concerns no document: it never raises, and the service goes on without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import structlog

from pipeline.config.monitor import Address, MonitorSettings
from pipeline.engine.observer import Observer
from pipeline.health.collector import Deliveries
from pipeline.monitor.page.parts import Collects, Parts
from pipeline.network.kept_server import KeptServer

if TYPE_CHECKING:  # it takes longer to import than all that one poll does
    from pipeline.monitor.page.site import Site

log = structlog.get_logger(__name__)


class Monitor:
    """The server of [monitor], if there is to be one. For the event loop alone."""

    def __init__(
        self,
        settings: MonitorSettings,
        collector: Collects,
        observer: Observer,
        deliveries: Deliveries,
        page: Parts | None = None,
    ) -> None:
        """page: of what the page tells; None: there is none."""
        self._kept = KeptServer("the monitor", "[monitor]", settings, self._listen)
        self._parts = (collector, observer, deliveries)
        self._page = page
        #: The page at this moment.
        self.site: Site | None = None
        #: Where it listens at this moment.
        self.addresses: Sequence[Address] = ()

    def apply(self, settings: MonitorSettings) -> None:
        """Serve by other settings from now on; those who are being answered are cut off."""
        self._kept.apply(settings)

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
        await self._kept.run()

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
