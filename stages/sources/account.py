"""Requests that bear an account's token, at the pace that its source can take."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from pipeline.errors import SignInRefused, SourceUnreachable
from stages.sources.http import Http, refuse, retry_after
from stages.sources.oauth import Token
from stages.sources.pace import Pace

#: Statuses of a source that has too much to do.
PRESSED = (429, 503)


class WebPage(SourceUnreachable):
    """the source answered with a web page"""

    remedy = (
        "Check the address of the source, and see in a browser what it says; it is tried again by"
        " itself"
    )


class Account:
    """One account at a source: its session, its token, its pace."""

    def __init__(self, name: str, http: Http, token: Token, pace: Pace) -> None:
        self._name = name
        self._http = http
        self._token = token
        self._pace = pace

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: URL,
        *,
        subject: str,
        headers: Mapping[str, str],
        data: bytes | None = None,
        also: Collection[int] = (),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request with the token, once more with a new one if it was refused.

        Yields a successful answer, or one whose status is in `also`; raises the others' errors.
        """
        await self._pace.enter(subject)
        try:
            response = await self._send(method, url, subject, headers, data)
            async with response:
                if not 200 <= response.status < 300 and response.status not in also:
                    raise await refuse(response, subject)
                if response.content_type == "text/html":
                    # What a proxy, or a platform under repair, shows to people.
                    raise WebPage(subject)
                yield response
        finally:
            self._pace.leave()

    async def _send(
        self, method: str, url: URL, subject: str, headers: Mapping[str, str], data: bytes | None
    ) -> aiohttp.ClientResponse:
        for _ in range(2):
            token = await self._token.get()
            began = time.monotonic()
            try:
                response = await self._http.send(
                    method,
                    url,
                    subject=subject,
                    headers={"Authorization": f"Bearer {token}", **headers},
                    data=data,
                )
            except SourceUnreachable:
                self._pace.timed_out(began)
                raise
            if response.status in PRESSED:
                self._pace.refused(began, retry_after(response))
            else:
                self._pace.answered(began)
            if response.status != 401:
                return response
            response.release()
            self._token.reject(token)
        raise SignInRefused(f"source {self._name}", "the platform refuses a new token")
