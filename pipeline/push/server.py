"""Push server: answers at one address the pushes of all platforms, as long as its scope lasts.

A push is checked, answered and forgotten. 204: it is a hint now. 401: it bears no signature; 403: a
wrong one, or an old one; 404: there is no such source, or it takes no pushes; 413: it is too large.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from multidict import CIMultiDictProxy

from pipeline.config.monitor import Address
from pipeline.config.push import PATH, PushSettings
from pipeline.config.secrets import SecretMissing
from pipeline.hints import HintOutcome, PushRefused, PushRequest
from pipeline.monitor.connections import keep, serving
from pipeline.push.log_pace import LogPace
from pipeline.push.receivers import Receivers

log = structlog.get_logger(__name__)

#: Bytes of a push: an event with the document's data in JSON.
MAX_BODY = 524_288
#: Beside the names of sources, what is logged at a pace.
FAULT = "\nfault"


@asynccontextmanager
async def listening(
    settings: PushSettings, receivers: Receivers
) -> AsyncIterator[Sequence[Address]]:
    """Answer while the block runs; gives where. Raises OSError."""
    address = settings.address
    assert address is not None
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post(f"{PATH}{{source:.+}}", Answers(receivers).answer)
    async with serving(app, address) as bound:
        yield bound


class Answers:
    """Answers pushes, and tells of those that are refused: each counts, and few are logged."""

    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers
        self._pace = LogPace()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one push."""
        keep(request)
        name = request.match_info["source"]
        pushed = self._receivers.pushed(name)
        if pushed is None:
            self._warn("", "there is no source of that name that takes pushes", "")
            return web.Response(status=404)
        body = await request.read()  # HTTPRequestEntityTooLarge
        said = PushRequest(_single(request.headers), request.query_string, body, time.time())
        try:
            is_first = await pushed.take(said)
        except PushRefused as refused:
            self._receivers.hinted(name, HintOutcome.REFUSED)
            self._warn(name, refused.reason, refused.remedy)
            return web.Response(status=403 if refused.is_signed else 401)
        except SecretMissing as missing:
            self._receivers.hinted(name, HintOutcome.REFUSED)
            self._warn(name, f"{missing.subject}: {missing.reason}", missing.remedy)
            return web.Response(status=503)
        except Exception as error:
            if self._pace.counted(FAULT) is not None:
                log.error("the receiver of pushes can't answer", source=name, exc_info=error)
            return web.Response(status=500)
        if not is_first:
            self._receivers.hinted(name, HintOutcome.JOINED)
        return web.Response(status=204)

    def _warn(self, source: str, reason: str, remedy: str) -> None:
        """Log a refusal; what has been refused meanwhile is counted in the next line."""
        if (count := self._pace.counted(source)) is not None:
            log.warning(
                "a push was refused", source=source, reason=reason, remedy=remedy, refused=count
            )


def _single(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """The headers that were sent once, by their names in lower case."""
    counts = Counter(name.lower() for name, _ in headers.items())
    return {name.lower(): text for name, text in headers.items() if counts[name.lower()] == 1}
