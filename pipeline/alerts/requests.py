"""Alert requests: sends HTTP requests by the company's proxy and trust, or says why they failed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

import aiohttp
import anyio.to_thread
from yarl import URL

from pipeline.alerts.addresses import web_address
from pipeline.alerts.errors import MessageRefused, NotSent
from pipeline.config.secrets import read_secret
from pipeline.config.types import Secret
from pipeline.errors import SynqupError
from pipeline.network.connection_errors import connection_error
from pipeline.network.proxy_errors import PROXY_AUTHENTICATION_REQUIRED, sign_in_error
from pipeline.network.routes import Routes
from pipeline.text import quoted

#: Seconds for a whole request.
TIMEOUT = 30.0
#: Bytes of an answer that are read.
MAX_ANSWER = 2000
#: Statuses that say that a message is refused, and not its sender.
REFUSED = (400, 413, 415, 422)
#: Statuses of an address or a sign-in that is wrong.
WRONG = (401, 403, 404, 405, 410)


class Requests:
    """Sends requests; close() it when no more are to be sent."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, url: URL, subject: str, body: bytes, headers: Mapping[str, str]
    ) -> None:
        """Send a request, which is good with any status of 2xx.

        Raises NotSent, MessageRefused, or another SynqupError of the way there.
        """
        route = await self._routes.to(url)
        try:
            async with self._open().request(
                method,
                url,
                data=body,
                headers=route.headers(headers),
                allow_redirects=False,
                **route.options,
            ) as response:
                if response.status == PROXY_AUTHENTICATION_REQUIRED and route.proxy is not None:
                    challenges = response.headers.getall("Proxy-Authenticate", ())
                    failure: SynqupError = sign_in_error(route.proxy, challenges, url, subject)
                elif response.ok and response.status < 300:
                    return
                else:
                    failure = await _refusal(response, subject)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is one
            # What certificates are refused with is a ValueError as well.
            if isinstance(error, aiohttp.ClientError | OSError):
                failure = connection_error(
                    error, subject, url, route.proxy, other="the receiver", section="[alerts]"
                )
            else:
                failure = NotSent(subject, "the address can't be used", "Correct it")
        # Outside of the handler: the error holds the whole address, and what was sent.
        self._routes.failed(route, failure)
        raise failure

    async def close(self) -> None:
        """Close the connections; a later request opens others."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(TIMEOUT),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "synqup"},
            )
        return self._session


async def secret_text(secret: Secret) -> str:
    """A secret; what holds it may hang, and is not waited for then. Raises SecretMissing."""
    return await anyio.to_thread.run_sync(read_secret, secret, abandon_on_cancel=True)


async def address(url: str, secret: Secret | None, subject: str) -> str:
    """The address of a receiver, which may be a secret. Raises SecretMissing and NotSent."""
    if secret is None:
        return url
    found = (await secret_text(secret)).strip()
    try:
        return web_address(found)
    except ValueError as error:
        raise NotSent(subject, f"url_secret: {error}", "Correct the secret") from None


def as_url(text: str, subject: str) -> URL:
    """An address as it is written: a signature in it must not change. Raises NotSent."""
    try:
        if not re.search(r"\s", text):
            return URL(text, encoded=text.isascii())
    except ValueError:
        pass
    raise NotSent(subject, "the address can't be used", "Correct it")


async def _refusal(response: aiohttp.ClientResponse, subject: str) -> NotSent:
    said = ""
    if response.content_type == "text/plain":
        with suppress(UnicodeError):
            said = (await response.content.read(MAX_ANSWER)).decode()
    status, words = response.status, f': "{quoted(said)}"' if said.strip() else ""
    reason = f"the receiver answers {status}{words}"
    if status in REFUSED:
        return MessageRefused(subject, reason, "Check what the receiver expects")
    if status in WRONG:
        return NotSent(subject, reason, "Check its address in [alerts], and its secrets")
    if 300 <= status < 400:
        return NotSent(subject, reason, "Write the address to which it redirects into [alerts]")
    asked = response.headers.get("Retry-After", "")
    after = float(asked) if re.fullmatch(r"\d{1,6}", asked) else None
    return NotSent(subject, reason, retry_after=after)
