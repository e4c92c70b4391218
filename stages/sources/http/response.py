"""Timed response: its headers have to come in time, and it tells how long they took."""

from __future__ import annotations

import aiohttp
from aiohttp.connector import Connection


class TimedResponse(aiohttp.ClientResponse):
    """A response that knows how long it took.

    latency: seconds from the request, on a connection that was open by then, to the end of the
    headers.
    """

    latency = 0.0


def response_class(seconds: float) -> type[TimedResponse]:
    """A response class whose headers have to be complete within some seconds."""

    class Answer(TimedResponse):
        async def start(self, connection: Connection) -> aiohttp.ClientResponse:
            # A timer costs a fifth of asyncio.timeout(), and each request needs one.
            timer = self._loop.call_later(seconds, _abort, connection)
            try:
                await super().start(connection)
            except aiohttp.ClientError:
                if self._loop.time() >= timer.when():
                    raise TimeoutError from None
                raise
            finally:
                timer.cancel()
            self.latency = self._loop.time() - timer.when() + seconds
            return self

    return Answer


def _abort(connection: Connection) -> None:
    if connection.transport is not None:
        connection.transport.abort()
