"""One HTTP session for each source, whose failures speak in the words of pipeline/errors.py."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import aiohttp
import anyio
import anyio.to_thread
import msgspec
from aiohttp.connector import Connection
from msgspec import Struct
from yarl import URL

from pipeline.errors import (
    Rejected,
    RetryableError,
    SourceError,
    SourceUnavailable,
    SynqupError,
)
from pipeline.files import check_file
from stages.settings import CERTIFICATES
from stages.sources.http.coding import Mispacked, unpacker
from stages.sources.http.headers import quoted, retry_after

#: Bytes of an error's answer that are read to quote it, and seconds that are spent on it.
EXPLANATION = 10_000
EXPLAINING = 5.0
#: Seconds that connections are given to close.
CLOSING = 5.0
#: Bytes a second, unpacked, that an answer brings in each time of a stall: fewer are as good as
#: none. It is what is left to each of sixty requests on a line of one megabit.
TRICKLE = 2048
#: Times of a stall (five minutes) after which an answer has to have brought more than that on the
#: average: so many bytes a second. Else sixteen large documents could hold all workers for hours.
PATIENCE = 10
STEADY = 16_384

#: What reading the JSON of a stranger may raise: it may be nested without end, or not be UTF-8.
UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)


class Timeouts(Struct, frozen=True):
    """Seconds for the connection, from the request to the end of the headers, and for each read."""

    connect: float
    first_byte: float
    stall: float


class CertificateRefused(SourceError):
    """A connection that can't be trusted."""

    reason = "the server's certificate is not trusted"
    remedy = (
        "Check the address; if a private authority has signed it, name that authority's"
        " certificate as ca_file in [[sources]]"
    )


class BrokenOff(RetryableError):
    """A body that has not come whole."""

    reason = "the answer broke off"
    remedy = "It will be retried; if it goes on, check the network and any proxy in between"


class Flow:
    """How much of an answer has come, in the time that we have spent waiting for it.

    What we do with it meanwhile may take its time: that is not the server's fault.
    """

    def __init__(self, stall: float) -> None:
        self.size = 0
        self._stall = stall
        self._waited = 0.0
        self._since, self._had = 0.0, 0

    def too_slow(self, waited: float) -> str:
        """Count the seconds of one more read; why the answer is too slow, or nothing."""
        self._waited += waited
        seconds, came = self._waited - self._since, self.size - self._had
        if seconds <= self._stall:
            return ""
        if came < TRICKLE * seconds:
            return f"in {seconds:.1f} s {came:,} bytes"
        if self._waited > self._stall * PATIENCE and self.size < STEADY * self._waited:
            return f"in {self._waited:.1f} s {self.size:,} bytes"
        self._since, self._had = self._waited, self.size
        return ""


class Http:
    """A session with its limits. Made when first used, within the event loop; closed once.

    ca_file: certificates of authorities to trust besides those of the system.
    """

    def __init__(
        self, name: str, *, connections: int, timeouts: Timeouts, ca_file: Path | None = None
    ) -> None:
        self._name = name
        self._connections = connections
        self._timeouts = timeouts
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        url: URL,
        *,
        subject: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request and return its answer, of whatever status, before its body is read.

        The caller releases it. Redirects are not followed: credentials must not travel to where
        we did not mean them to. CertificateRefused, SourceUnavailable or SourceError.
        """
        session = self._session or await self._open()
        try:
            return await session.request(
                method, url, headers=headers, data=data, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is one
            raise _no_answer(error, subject) from None

    async def body(self, response: aiohttp.ClientResponse, subject: str) -> AsyncIterator[bytes]:
        """The bytes of an answer as they come, unpacked.

        BrokenOff when they stop, end early or trickle, or can't be unpacked to their end.
        """
        content = response.content
        flow = Flow(self._timeouts.stall)
        try:
            packed = unpacker(response.headers)
            while True:
                began = time.monotonic()
                chunk = await self._read(content, flow, subject)
                waited = time.monotonic() - began
                if not chunk:
                    break
                if packed is None:
                    flow.size += len(chunk)
                    yield chunk
                else:
                    for piece in packed.unpack(chunk):
                        flow.size += len(piece)
                        yield piece
                if (slow := flow.too_slow(waited)) and not content.at_eof():
                    raise BrokenOff(subject, f"the answer comes too slowly ({slow})")
            if packed is not None:
                packed.finish()
        except Mispacked as error:
            raise BrokenOff(
                subject, f"the answer is not whole after {flow.size:,} bytes: {error}"
            ) from None

    async def read(self, response: aiohttp.ClientResponse, limit: int, subject: str) -> bytes:
        """The whole body, unless it is longer than a limit in bytes; then SourceError."""
        body = bytearray()
        async for chunk in self.body(response, subject):
            body += chunk
            if len(body) > limit:
                body.clear()  # which the error would keep in memory
                raise SourceError(subject, f"the answer is longer than {limit:,} bytes")
        return bytes(body)

    async def _read(self, content: aiohttp.StreamReader, flow: Flow, subject: str) -> bytes:
        """What has come, or comes within the time of a stall, whatever else arrives meanwhile."""
        try:
            if content.is_eof():
                return await content.readany()
            async with asyncio.timeout(self._timeouts.stall):
                return await content.readany()
        except TimeoutError:
            raise BrokenOff(
                subject,
                f"the answer stopped for {self._timeouts.stall:g} s after {flow.size:,} bytes",
            ) from None
        except (aiohttp.ClientError, OSError, RuntimeError):
            # RuntimeError is how aiohttp says that there is no connection any more.
            raise BrokenOff(subject, f"the answer broke off after {flow.size:,} bytes") from None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            # A server that does not read what it was sent keeps its connection open.
            with anyio.move_on_after(CLOSING):
                await self._session.close()

    async def _open(self) -> aiohttp.ClientSession:
        # To read certificates takes a while; aiohttp has read the system's when it was imported.
        trusted: ssl.SSLContext | bool = True
        if self._ca_file is not None:
            trusted = await anyio.to_thread.run_sync(self._trusting, self._ca_file)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=trusted),
                # How long an answer may take is measured where it is waited for.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
                response_class=_answering_within(self._timeouts.first_byte),
                headers={
                    "User-Agent": f"synqup/{version('synqup')}",
                    "Accept-Encoding": "gzip, deflate",
                },
                cookie_jar=_NoCookies(),
                auto_decompress=False,
            )
        return self._session

    def _trusting(self, ca_file: Path) -> ssl.SSLContext:
        context = ssl.create_default_context()
        try:
            check_file(ca_file, CERTIFICATES)
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise SourceError(
                f"source {self._name}",
                f"ca_file {ca_file} can't be used ({error.strerror or error})",
                "Name a readable file of certificates in PEM form",
            ) from None
        return context


class _NoCookies(aiohttp.DummyCookieJar):
    """Does not even read them."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Leave them."""


def _answering_within(seconds: float) -> type[aiohttp.ClientResponse]:
    """Answers whose headers have so much time to come to their end, whatever arrives meanwhile."""

    class Answer(aiohttp.ClientResponse):
        async def start(self, connection: Connection) -> aiohttp.ClientResponse:
            # A timer alone costs a fifth of asyncio.timeout(), and each request needs one.
            timer = self._loop.call_later(seconds, _abort, connection)
            try:
                return await super().start(connection)
            except aiohttp.ClientError:
                if self._loop.time() >= timer.when():
                    raise TimeoutError from None
                raise
            finally:
                timer.cancel()

    return Answer


def _abort(connection: Connection) -> None:
    if connection.transport is not None:
        connection.transport.abort()


async def refuse(response: aiohttp.ClientResponse, subject: str) -> SynqupError:
    """The error that an answer's status stands for, with the server's own words."""
    said = await _explanation(response)
    status = response.status
    answered = f"the source answered {status}{said}"
    if 200 <= status < 300:
        return BrokenOff(subject, f"{answered}, and nobody asked for anything but the whole (200)")
    if status == 429 or status >= 500:
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
            f"the source sends us elsewhere ({status}, to {_host(response)}), where credentials"
            " must not go",
            "Check the address in [[sources]]",
        )
    remedy = "Check the settings of the source"
    if status == 403:
        remedy = "Ask the company's representative to approve this application at the platform"
    return SourceError(subject, answered, remedy)


def _no_answer(error: aiohttp.ClientError | OSError, subject: str) -> SynqupError:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return CertificateRefused(subject, _certificate(error.certificate_error))
        case aiohttp.ClientConnectorSSLError():
            return SourceUnavailable(
                subject, f"no secure connection can be made ({_words(error.os_error)})"
            )
        case TimeoutError():
            return SourceUnavailable(subject, "the source does not answer in time")
        case aiohttp.ClientConnectorError():
            reason = quoted(error.strerror or "") or _words(error.os_error)
            return SourceUnavailable(
                subject, f"the source does not answer ({error.host}:{error.port}: {reason})"
            )
        case aiohttp.ClientResponseError():
            why = quoted(error.message.partition("\n")[0]).rstrip(":") or "it can't be read"
            return SourceUnavailable(
                subject,
                f"the answer breaks the rules of HTTP ({why})",
                "Tell the platform, or whoever runs the proxy in between; it will be retried",
            )
        case _:
            return SourceUnavailable(subject, f"the connection failed ({_words(error)})")


def _certificate(error: Exception) -> str:
    reason = getattr(error, "verify_message", "") if isinstance(error, ssl.SSLError) else ""
    return f"the server's certificate is not trusted ({quoted(reason or str(error))})"


def _host(response: aiohttp.ClientResponse) -> str:
    """Where a redirect leads; the rest of the address is nobody's business."""
    try:
        return quoted(URL(response.headers.get("Location", "")).host or "nowhere")
    except ValueError:
        return "nowhere"


def _words(error: BaseException) -> str:
    """What an error says; many that break a connection say nothing."""
    # One that was left in the middle of an answer shows all that had come of it.
    said = "" if isinstance(error, aiohttp.ServerDisconnectedError) else quoted(str(error))
    if said:
        return said
    for kind, words in SILENT.items():
        if isinstance(error, kind):
            return words
    return f"the system says no more than {type(error).__name__}"


#: What is said of errors that say nothing themselves.
SILENT: Mapping[type[BaseException], str] = {
    ConnectionResetError: "the other side has reset the connection",
    ConnectionAbortedError: "the connection was broken off",
    ConnectionRefusedError: "nobody listens there",
    BrokenPipeError: "the other side has closed the connection",
    TimeoutError: "no answer in time",
    ssl.SSLError: "the secure connection could not be made",
    ConnectionError: "the connection was lost",
    aiohttp.ServerDisconnectedError: "the other side has closed the connection",
}


async def _explanation(response: aiohttp.ClientResponse) -> str:
    """What the answer says of itself, as the end of a sentence: ` "…"`, or nothing."""
    body = bytearray()
    try:
        packed = unpacker(response.headers)
        async with asyncio.timeout(EXPLAINING):
            while len(body) < EXPLANATION and (chunk := await response.content.readany()):
                pieces = [chunk] if packed is None else packed.unpack(chunk)
                for piece in pieces:
                    body += piece
                    if len(body) >= EXPLANATION:
                        break
        said = msgspec.json.decode(body)
        words = said.get("error_description") or said.get("message") or said.get("error")
        return f': "{quoted(str(words))}"' if words else ""
    except (aiohttp.ClientError, OSError, RuntimeError, Mispacked, AttributeError, *UNREADABLE):
        return ""
