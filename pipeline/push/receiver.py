"""Push receiver: keeps the server of [push] running as configured, and tries again where it can't.

Whatever happens to it concerns no document: it never raises, and sources are polled without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import anyio
import anyio.to_thread
import structlog

from pipeline.config.monitor import Address
from pipeline.config.push import PushSettings
from pipeline.network.kept_server import KeptServer
from pipeline.push.receivers import Receivers

log = structlog.get_logger(__name__)


class PushReceiver:
    """The server of [push], if there is to be one. For the event loop alone."""

    def __init__(self, settings: PushSettings, receivers: Receivers) -> None:
        self._kept = KeptServer("the receiver of pushes", "[push]", settings, self._listen)
        self._receivers = receivers
        #: Where it listens at this moment.
        self.addresses: Sequence[Address] = ()

    def apply(self, settings: PushSettings) -> None:
        """Listen by other settings from now on; those who are being answered are cut off."""
        self._kept.apply(settings)

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._kept.run()

    async def _listen(self, settings: PushSettings) -> None:
        # Not before it is needed, and in a thread: it takes longer than all that one poll does.
        server: Any = await anyio.to_thread.run_sync(import_module, "pipeline.push.server")
        async with server.listening(settings, self._receivers) as addresses:
            self.addresses = addresses
            log.info("pushes are taken", address=", ".join(map(str, addresses)))
            try:
                await anyio.sleep_forever()
            finally:
                self.addresses = ()
