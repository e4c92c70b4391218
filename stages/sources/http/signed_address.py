"""Signed addresses: fetches what lies at another host, behind an address that is its own key.

Some platforms answer with an address in place of a document. It is good for a while, for whoever
has it, so no credentials go along; and it may lead anywhere, so it is followed only to hosts that
the configuration names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import partial

import aiohttp
from yarl import URL

from pipeline.errors import SourceError
from pipeline.text import quoted
from stages.sources.http.client import HttpClient
from stages.sources.http.headers import NO_CODING
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.session import ApiRequest, recorded
from stages.sources.http.settings import is_this_machine

#: Statuses of an address whose time is over; the platform gives a new one.
EXPIRED = (401, 403, 404, 410)
REDIRECTS = (301, 302, 303, 307, 308)
MAX_REDIRECTS = 3


class UnusableAddress(SourceError):
    """An address that is not followed wherever it leads, so that another one is needed."""

    reason = "what should be its address is none"
    remedy = "Tell the platform"


class SignedAddresses:
    """Fetches by signed addresses, without credentials.

    hosts: patterns as host_pattern() makes them. local: whether any port of this machine is one of
    them, as where the platform itself is served here. http: must not bear credentials by itself.
    """

    def __init__(
        self,
        hosts: Collection[str],
        http: HttpClient,
        limiter: ConcurrencyLimiter,
        *,
        local: bool = False,
    ) -> None:
        self._hosts = hosts
        self._http = http
        self._limiter = limiter
        self._local = local

    def get(self, address: str, subject: str, accepted: Sequence[int] = EXPIRED) -> ApiRequest:
        """Prepare a GET.

        When it is sent: SourceError if the address leads to a host that is not one of them,
        UnusableAddress if it is not to be followed at all. accepted: error statuses that are
        returned as answers too.
        """
        send = partial(self._send, address, subject)
        return ApiRequest(send, self._limiter, subject, True, accepted)

    async def _send(self, address: str, subject: str) -> aiohttp.ClientResponse:
        url = self._checked(_parsed(address), subject)
        for _ in range(MAX_REDIRECTS):
            response = await self._answer(url, subject)
            if response.status not in REDIRECTS or "Location" not in response.headers:
                return response
            response.release()
            try:
                url = url.join(_parsed(response.headers["Location"]))
            except ValueError:
                url = URL()
            url = self._checked(url, subject)
        return await self._answer(url, subject)

    async def _answer(self, url: URL, subject: str) -> aiohttp.ClientResponse:
        sending = self._http.send(
            "GET", url, subject=subject, headers={"Accept-Encoding": NO_CODING}
        )
        return await recorded(self._limiter, "storage", sending)

    def _checked(self, url: URL, subject: str) -> URL:
        host = (url.host or "").lower().rstrip(".")
        if url.user is not None or url.password is not None:
            reason = "its address holds a user or a password, which must not be sent"
        elif not host or url.scheme not in ("http", "https"):
            reason = "what should be its address is none"
        elif url.scheme == "http" and not is_this_machine(host):
            reason = f"its address leads to {quoted(host)} without encryption"
        elif not self._is_known(host, url.port):
            raise SourceError(
                subject,
                f"its address leads to {quoted(host)}, which storage_hosts does not name",
                "Name it in storage_hosts if the platform says that its documents lie there",
            )
        else:
            return url
        raise UnusableAddress(subject, reason)

    def _is_known(self, host: str, port: int | None) -> bool:
        if self._local and is_this_machine(host):
            return True
        for pattern in self._hosts:
            name, _, wanted = pattern.partition(":")
            if wanted and wanted != str(port):
                continue
            if host == name or (name.startswith("*.") and host.endswith(name[1:])):
                return True
        return False


def _parsed(address: str) -> URL:
    """The address as it is written: quoting it anew might change what its signature is of."""
    text = address.strip()
    try:
        as_written = re.fullmatch(r"[!-~]+", text) is not None
        return URL(text, encoded=as_written)
    except ValueError:
        return URL()
