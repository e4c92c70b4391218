"""One HTTP session for each source, whose failures speak in the words of pipeline/errors.py."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any

import aiohttp
import anyio
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


class Timeouts(Struct, frozen=True):
    """Seconds for the connection, from the request to the first byte, and between two bytes."""

    connect: float
    first_byte: float
    stall: float


class CertificateRefused(SourceError):
    """the server's certificate is not trusted"""

    remedy = "Check the address; a private authority has to be trusted by this machine"


class Http:
    """A session with its limits. Made when first used, within the event loop; closed once."""

    def __init__(self, name: str, *, connections: int, timeouts: Timeouts) -> None:
        self._name = name
        self._connections = connections
        self._timeouts = timeouts
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: URL,
        *,
        subject: str = "",
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield its answer, of whatever status, before its body is read.

        subject: what it is about, for the errors; by default the source. Redirects are not
        followed: credentials must not travel to where we did not mean them to.
        """
        subject = subject or f"source {self._name}"
        with speaking(subject):
            # The first byte has a timeout of its own; the rest may take as long as it flows.
            with anyio.fail_after(self._timeouts.first_byte):
                response = await self._open().request(
                    method,
                    url,
                    headers=headers,
                    data=data,
                    json=json,
                    allow_redirects=False,
                )
            async with response:
                yield response

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._timeouts.connect, sock_read=self._timeouts.stall
                ),
                headers={"User-Agent": f"synqup/{version('synqup')}"},
                json_serialize=lambda value: msgspec.json.encode(value).decode(),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


@contextmanager
def speaking(subject: str) -> Iterator[None]:
    """Turn the failures of connections within the block into sentences about a subject."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise CertificateRefused(subject, _certificate(error.certificate_error)) from None
    except aiohttp.ClientConnectorSSLError as error:
        raise CertificateRefused(subject, f"no secure connection ({error.strerror})") from None
    except TimeoutError:
        raise SourceUnreachable(subject, "the source does not answer in time") from None
    except aiohttp.ClientConnectorError as error:
        reason = error.strerror or str(error.os_error)
        raise SourceUnreachable(
            subject, f"the source does not answer ({error.host}:{error.port}: {reason})"
        ) from None
    except aiohttp.ClientPayloadError as error:
        raise PassingError(subject, f"the answer broke off ({quoted(str(error))})") from None
    except aiohttp.ClientError as error:
        raise SourceUnreachable(
            subject, f"the connection failed ({quoted(str(error)) or type(error).__name__})"
        ) from None


async def refuse(response: aiohttp.ClientResponse, subject: str) -> SynqupError:
    """The error that an answer's status stands for, with the server's own words."""
    said = await _explanation(response)
    status = response.status
    answered = f"the source answered {status}{said}"
    if status == 429 or status >= 500:
        return PassingError(
            subject, answered, "It is tried again by itself", retry_after=retry_after(response)
        )
    if status in (404, 410):
        return DocumentRefused(
            subject, f"the source no longer has it ({status}{said})", "Look for it at the platform"
        )
    if 300 <= status < 400:
        target = URL(response.headers.get("Location", "")).host or "nowhere"
        return SourceError(
            subject,
            f"the source sends us elsewhere ({status}, to {target}), where credentials must not go",
            "Check the address in [[sources]]",
        )
    remedy = "Check the settings of the source"
    if status == 403:
        remedy = "Ask the company's representative to approve this application at the platform"
    return SourceError(subject, answered, remedy)


async def read_limited(response: aiohttp.ClientResponse, limit: int, subject: str) -> bytes:
    """The whole body, unless it is longer than a limit in bytes; then SourceError."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise SourceError(subject, f"the answer is longer than {limit:,} bytes")
    return bytes(body)


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
    return "".join(c if c.isprintable() else " " for c in text)[:QUOTED].strip()


def monotonic() -> float:
    """Seconds that no change of the wall clock disturbs."""
    return time.monotonic()


def _certificate(error: Exception) -> str:
    reason = getattr(error, "verify_message", "") if isinstance(error, ssl.SSLError) else ""
    return f"the server's certificate is not trusted ({quoted(reason or str(error))})"


async def _explanation(response: aiohttp.ClientResponse) -> str:
    """What the answer says of itself, as the end of a sentence: ` "…"`, or nothing."""
    try:
        body = await response.content.read(EXPLANATION)
        said = msgspec.json.decode(body)
        words = said.get("error_description") or said.get("message") or said.get("error")
        return f': "{quoted(str(words))}"' if words else ""
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, AttributeError):
        return ""
