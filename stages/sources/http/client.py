"""HTTP client: one connection pool for each source, with timeouts, limits and plain errors.

Every failure is raised as an error of `pipeline/errors.py`. Bodies are decoded in pieces, and are
given up when they stall, trickle or end early.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Self

import aiohttp
import anyio
import msgspec
from yarl import URL

from pipeline.errors import (
    Rejected,
    RetryableError,
    SourceError,
    SourceUnavailable,
    SynqupError,
)
from pipeline.network.connection_errors import connection_error
from pipeline.network.proxy import ProxySettings
from pipeline.network.proxy_errors import PROXY_AUTHENTICATION_REQUIRED, sign_in_error
from pipeline.network.routes import Routes
from pipeline.text import quoted
from stages.sources.http.coding import DecodingError, content_decoder
from stages.sources.http.headers import HTML, media_type, retry_after
from stages.sources.http.lenient_json import JSON_ERRORS, as_utf8
from stages.sources.http.response import TimedResponse, response_class
from stages.sources.http.settings import HttpSettings, Timeouts
from stages.sources.http.web_page import no_web_page

#: Bytes that are read of an error's body to quote it, and seconds that are spent on it.
MAX_ERROR_BODY = 10_000
ERROR_BODY_TIMEOUT = 5.0
#: Seconds that connections are given to close.
CLOSE_TIMEOUT = 5.0
#: Decoded bytes a second that an answer has to bring within each stall timeout. It is the share of
#: one of sixty requests on a line of one megabit a second.
MIN_RATE = 2048
#: Number of stall timeouts (five minutes in all) after which the mean rate of an answer has to be
#: above MIN_MEAN_RATE, in bytes a second: 16 large documents could hold all workers for hours.
MEAN_RATE_STALLS = 10
MIN_MEAN_RATE = 16_384


class IncompleteBody(RetryableError):
    """A body that has not arrived completely."""

    reason = "the answer broke off"
    remedy = "It will be retried; if this goes on, check the network and any proxy"


class Throughput:
    """Throughput meter: bytes of an answer, in the time that was spent waiting for them.

    The time in which the bytes are processed does not count, as the server can't change it.
    """

    def __init__(self, stall: float) -> None:
        self.size = 0
        self._stall = stall
        self._waited = 0.0
        self._since, self._had = 0.0, 0

    def too_slow(self, waited: float) -> str:
        """Count the seconds of one more read. Returns why the answer is too slow, or ""."""
        self._waited += waited
        seconds, came = self._waited - self._since, self.size - self._had
        if seconds <= self._stall:
            return ""
        if came < MIN_RATE * seconds:
            return f"in {seconds:.1f} s {came:,} bytes"
        if (
            self._waited > self._stall * MEAN_RATE_STALLS
            and self.size < MIN_MEAN_RATE * self._waited
        ):
            return f"in {self._waited:.1f} s {self.size:,} bytes"
        self._since, self._had = self._waited, self.size
        return ""


class HttpClient:
    """HTTP client of one source. It connects when first used, within the event loop.

    connections: concurrent connections, at most. proxy: how they go out. ca_file: certificates of
    authorities that are trusted besides those of the system.
    """

    def __init__(
        self,
        name: str,
        *,
        connections: int,
        timeouts: Timeouts,
        proxy: ProxySettings | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._connections = connections
        self._timeouts = timeouts
        self._routes = Routes(f"source {name}", proxy, ca_file)
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def of(cls, settings: HttpSettings, connections: int | None = None) -> Self:
        """The client of a source by its settings. connections: in place of what they say."""
        return cls(
            settings.name,
            connections=connections or settings.connections,
            timeouts=settings.timeouts,
            proxy=settings.proxy_settings,
            ca_file=settings.ca_file,
        )

    async def send(
        self,
        method: str,
        url: URL,
        *,
        subject: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | Mapping[str, str] | None = None,
    ) -> TimedResponse:
        """Send a request and return its answer, of any status, before its body is read.

        The caller releases it. Redirects are not followed, as credentials must not be sent to
        other addresses. CertificateRefused, ProxyRefused, SourceUnavailable or SourceError.
        """
        route = await self._routes.to(url)
        session = self._session or self._open()
        try:
            request = session.request(
                method,
                url,
                headers=route.headers(headers),
                data=data,
                allow_redirects=False,
                **route.options,
            )
            if route.proxy is None:
                response = await request
            else:
                async with asyncio.timeout(self._timeouts.by_proxy):
                    response = await request
            assert isinstance(response, TimedResponse)
            if route.proxy is None or response.status != PROXY_AUTHENTICATION_REQUIRED:
                return response
            response.release()
            challenges = response.headers.getall("Proxy-Authenticate", ())
            failure: SynqupError = sign_in_error(route.proxy, challenges, url, subject)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is one
            failure = connection_error(error, subject, url, route.proxy)
        # Outside of the handler: the request of a proxy's answer holds the password.
        self._routes.failed(route, failure)
        raise failure

    def body(self, response: aiohttp.ClientResponse, subject: str) -> AsyncIterator[bytes]:
        """Yield the bytes of an answer as they arrive, decoded.

        IncompleteBody if they stop, end early, are too slow, or can't be decoded completely;
        WebPage if they are one.
        """
        pieces = self._decoded(response, subject)
        return no_web_page(pieces, subject) if media_type(response) == HTML else pieces

    async def _decoded(
        self, response: aiohttp.ClientResponse, subject: str
    ) -> AsyncGenerator[bytes, None]:
        content = response.content
        throughput = Throughput(self._timeouts.stall)
        try:
            decoder = content_decoder(response.headers)
            while True:
                began = time.monotonic()
                chunk = await self._read(content, throughput, subject)
                waited = time.monotonic() - began
                if not chunk:
                    break
                if decoder is None:
                    throughput.size += len(chunk)
                    yield chunk
                else:
                    for piece in decoder.decode(chunk):
                        throughput.size += len(piece)
                        yield piece
                if (slow := throughput.too_slow(waited)) and not content.at_eof():
                    raise IncompleteBody(subject, f"the answer comes too slowly ({slow})")
            if decoder is not None:
                decoder.finish()
        except DecodingError as error:
            raise IncompleteBody(
                subject, f"the answer is not whole after {throughput.size:,} bytes: {error}"
            ) from None

    async def read(self, response: aiohttp.ClientResponse, limit: int, subject: str) -> bytes:
        """Read the whole body. SourceError if it is longer than a limit in bytes."""
        body = bytearray()
        async for chunk in self.body(response, subject):
            body += chunk
            if len(body) > limit:
                body.clear()  # the traceback of the error would keep it in memory
                raise SourceError(subject, f"the answer is longer than {limit:,} bytes")
        return bytes(body)

    async def _read(
        self, content: aiohttp.StreamReader, throughput: Throughput, subject: str
    ) -> bytes:
        """Read what is there, or arrives within the stall timeout; framing alone does not count."""
        try:
            if content.is_eof():
                return await content.readany()
            async with asyncio.timeout(self._timeouts.stall):
                return await content.readany()
        except TimeoutError:
            raise IncompleteBody(
                subject,
                f"the answer stopped for {self._timeouts.stall:g} s after"
                f" {throughput.size:,} bytes",
            ) from None
        except (aiohttp.ClientError, OSError, RuntimeError):
            # aiohttp raises RuntimeError where the connection is gone.
            raise IncompleteBody(
                subject, f"the answer broke off after {throughput.size:,} bytes"
            ) from None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            # A connection stays open while the server does not read what was sent.
            with anyio.move_on_after(CLOSE_TIMEOUT):
                await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            # The other timeouts are applied where the answer is waited for.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
            response_class=response_class(self._timeouts.first_byte),
            headers={
                "User-Agent": f"synqup/{version('synqup')}",
                "Accept-Encoding": "gzip, deflate",
            },
            cookie_jar=_NoCookies(),
            auto_decompress=False,
        )
        return self._session


class _NoCookies(aiohttp.DummyCookieJar):
    """A cookie jar that does not even parse cookies."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Ignore them."""


async def status_error(response: aiohttp.ClientResponse, subject: str) -> SynqupError:
    """The error for the status of an answer, with the server's own message."""
    said = await _error_message(response)
    status = response.status
    answered = f"the source answered {status}{said}"
    if 200 <= status < 300:
        return IncompleteBody(subject, f"{answered}, but not with the whole document")
    if status in (408, 429) or status >= 500:
        return SourceUnavailable(
            subject, answered, "It will be retried", retry_after=retry_after(response)
        )
    if status in (404, 410):
        return Rejected(
            subject, f"the source no longer has it ({status}{said})", "Look for it at the platform"
        )
    if 300 <= status < 400:
        return SourceError(
            subject,
            f"the source redirects ({status}, to {_host(response)}), and credentials must not be"
            " sent there",
            "Check the address in [[sources]]",
        )
    remedy = "Check the settings of the source"
    if status == 403:
        remedy = "Ask the company's representative to approve this application at the platform"
    return SourceError(subject, answered, remedy)


def _host(response: aiohttp.ClientResponse) -> str:
    """The host that a redirect leads to; the rest of the address may hold secrets."""
    try:
        return quoted(URL(response.headers.get("Location", "")).host or "nowhere")
    except ValueError:
        return "nowhere"


#: Where the errors of different platforms have their sentence, in lower case; the best first.
WORDS = (
    *("error_description", "description", "message", "errormessage", "defaulttext", "detail"),
    *("title", "msg", "defaultformat", "innererrors", "errors", "error", "code"),
)


def _words(said: object, depth: int = 0) -> str:
    """The sentence of an error's body, wherever it lies; "" if there is none."""
    if isinstance(said, str | int):
        return str(said)
    if depth > 3:
        return ""
    if isinstance(said, list):
        said = [one for one in said[:5] if isinstance(one, str | dict)]
        return next((words for one in said if (words := _words(one, depth + 1))), "")
    if not isinstance(said, dict):
        return ""
    members = {str(name).lower(): value for name, value in said.items()}
    # Below, the names may be those of fields, each with what is wrong with it.
    names = [*WORDS, *members] if depth else WORDS
    found = (_words(members[name], depth + 1) for name in names if name in members)
    return next(filter(None, found), "")


async def _error_message(response: aiohttp.ClientResponse) -> str:
    """The message in an error's body, as the end of a sentence: `: "…"`, or nothing."""
    body = bytearray()
    try:
        decoder = content_decoder(response.headers)
        async with asyncio.timeout(ERROR_BODY_TIMEOUT):
            while len(body) < MAX_ERROR_BODY and (chunk := await response.content.readany()):
                pieces = [chunk] if decoder is None else decoder.decode(chunk)
                for piece in pieces:
                    body += piece
                    if len(body) >= MAX_ERROR_BODY:
                        break
        said = msgspec.json.decode(as_utf8(bytes(body)))
        words = _words(said)
        return f': "{quoted(words)}"' if words else ""
    except (
        aiohttp.ClientError,
        OSError,
        RuntimeError,
        DecodingError,
        AttributeError,
        *JSON_ERRORS,
    ):
        return ""
