"""One HTTP session for each source, whose failures speak in the words of pipeline/errors.py."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path

import aiohttp
import anyio.to_thread
import msgspec
from msgspec import Struct
from yarl import URL

from pipeline.errors import (
    DocumentRefused,
    PassingError,
    SourceError,
    SourceUnreachable,
    SynqupError,
)

#: Characters of a server's own words that are worth quoting.
QUOTED = 200
#: Bytes of an error's answer that are read to quote it.
EXPLANATION = 10_000
#: Bytes that have to come within the time of a stall: fewer are as good as none.
TRICKLE = 1024


class Timeouts(Struct, frozen=True):
    """Seconds for the connection, from the request to the first byte, and between two bytes."""

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


class BrokenOff(PassingError):
    """A body that has not come whole."""

    reason = "the answer broke off"
    remedy = (
        "It is tried again by itself; if it goes on, check the network and any proxy in between"
    )


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
        we did not mean them to. CertificateRefused, SourceUnreachable or SourceError.
        """
        session = self._session or await self._open()
        try:
            response = await session.request(
                method, url, headers=headers, data=data, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _no_answer(error, subject) from None
        if (connection := response.connection) is not None and connection.protocol is not None:
            # The body has begun and not ended: another time is allowed between its bytes.
            connection.protocol.read_timeout = self._timeouts.stall
            connection.protocol.start_timeout()
        return response

    async def body(self, response: aiohttp.ClientResponse, subject: str) -> AsyncIterator[bytes]:
        """The bytes of an answer as they come. BrokenOff when they stop, end early or trickle."""
        stall = self._timeouts.stall
        content = response.content
        since, came, size = time.monotonic(), 0, 0
        try:
            while chunk := await content.readany():
                yield chunk
                came += len(chunk)
                size += len(chunk)
                if (now := time.monotonic()) - since > stall:
                    if came < TRICKLE and not content.at_eof():
                        raise BrokenOff(
                            subject,
                            f"the answer comes too slowly (in {now - since:.1f} s {came:,} bytes)",
                        )
                    since, came = now, 0
        except TimeoutError:
            raise BrokenOff(
                subject, f"the answer stopped for {stall:g} s after {size:,} bytes"
            ) from None
        except aiohttp.ClientError:
            raise BrokenOff(subject, f"the answer broke off after {size:,} bytes") from None

    async def read(self, response: aiohttp.ClientResponse, limit: int, subject: str) -> bytes:
        """The whole body, unless it is longer than a limit in bytes; then SourceError."""
        body = bytearray()
        async for chunk in self.body(response, subject):
            body += chunk
            if len(body) > limit:
                raise SourceError(subject, f"the answer is longer than {limit:,} bytes")
        return bytes(body)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _open(self) -> aiohttp.ClientSession:
        # To read certificates takes a while; aiohttp has read the system's when it was imported.
        trusted: ssl.SSLContext | bool = True
        if self._ca_file is not None:
            trusted = await anyio.to_thread.run_sync(self._trusting, self._ca_file)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=trusted),
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    sock_connect=self._timeouts.connect,
                    sock_read=self._timeouts.first_byte,
                ),
                headers={"User-Agent": f"synqup/{version('synqup')}"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _trusting(self, ca_file: Path) -> ssl.SSLContext:
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise SourceError(
                f"source {self._name}",
                f"ca_file {ca_file} can't be used ({error.strerror or error})",
                "Name a readable file of certificates in PEM form",
            ) from None
        return context


async def refuse(response: aiohttp.ClientResponse, subject: str) -> SynqupError:
    """The error that an answer's status stands for, with the server's own words."""
    said = await _explanation(response)
    status = response.status
    answered = f"the source answered {status}{said}"
    if status == 429 or status >= 500:
        return SourceUnreachable(
            subject, answered, "It is tried again by itself", retry_after=retry_after(response)
        )
    if status in (404, 410):
        return DocumentRefused(
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


def retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds that the server asks us to wait (RFC 9110, 10.2.3), if it does and is plausible."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    # The server's own clock, where it tells it: ours may be hours off.
    now = response.headers.get("Date")
    try:
        since = parsedate_to_datetime(now) if now else datetime.now(UTC)
        return max((until - since).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def quoted(text: str) -> str:
    """A server's words made fit for one line of a log, and not too long."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text[:QUOTED].strip()


def _no_answer(error: aiohttp.ClientError | TimeoutError, subject: str) -> SynqupError:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return CertificateRefused(subject, _certificate(error.certificate_error))
        case aiohttp.ClientConnectorSSLError():
            return CertificateRefused(subject, f"no secure connection ({_words(error)})")
        case TimeoutError():
            return SourceUnreachable(subject, "the source does not answer in time")
        case aiohttp.ClientConnectorError():
            reason = error.strerror or str(error.os_error)
            return SourceUnreachable(
                subject, f"the source does not answer ({error.host}:{error.port}: {reason})"
            )
        case aiohttp.ClientResponseError():
            why = quoted(error.message.partition("\n")[0]).rstrip(":")
            return SourceUnreachable(
                subject,
                f"the answer breaks the rules of HTTP ({why})",
                "Tell the platform, or whoever runs the proxy in between; it is tried again by"
                " itself",
            )
        case _:
            return SourceUnreachable(subject, f"the connection failed ({_words(error)})")


def _certificate(error: Exception) -> str:
    reason = getattr(error, "verify_message", "") if isinstance(error, ssl.SSLError) else ""
    return f"the server's certificate is not trusted ({quoted(reason or str(error))})"


def _host(response: aiohttp.ClientResponse) -> str:
    """Where a redirect leads; the rest of the address is nobody's business."""
    try:
        return quoted(URL(response.headers.get("Location", "")).host or "nowhere")
    except ValueError:
        return "nowhere"


def _words(error: Exception) -> str:
    return quoted(str(error)) or type(error).__name__


async def _explanation(response: aiohttp.ClientResponse) -> str:
    """What the answer says of itself, as the end of a sentence: ` "…"`, or nothing."""
    try:
        body = await response.content.read(EXPLANATION)
        said = msgspec.json.decode(body)
        words = said.get("error_description") or said.get("message") or said.get("error")
        return f': "{quoted(str(words))}"' if words else ""
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, AttributeError):
        return ""
