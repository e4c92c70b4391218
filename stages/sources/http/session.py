"""Requests that bear an account's token, at the limiter that its source can take."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial

import aiohttp
from yarl import URL

from pipeline.errors import SignInRefused, SourceUnavailable, WebPage
from stages.sources.http.client import Http, refuse
from stages.sources.http.headers import is_part, media_type, retry_after
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.token import Token

#: Tokens that a request is tried with, at most, and new ones among them.
TOKENS = 6
NEW_TOKENS = 2
#: Statuses of a source that has too much to do.
PRESSED = (429, 503)


class Request(AbstractAsyncContextManager[aiohttp.ClientResponse]):
    """A request that gives its answer and lets go of it, and of its place in the limiter.

    Raises the errors of what is no success. A class, for it costs less than a generator.
    """

    def __init__(
        self,
        send: Callable[[], Awaitable[aiohttp.ClientResponse]],
        limiter: ConcurrencyLimiter,
        subject: str,
        whole: bool,
        also: Collection[int],
    ) -> None:
        self._send = send
        self._limiter = limiter
        self._subject = subject
        self._whole = whole
        self._also = also
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> aiohttp.ClientResponse:
        await self._limiter.enter(self._subject)
        try:
            self._response = response = await self._send()
            status = response.status
            well = status == 200 or (not self._whole and 200 <= status < 300)
            if not (well or status in self._also) or (self._whole and is_part(response)):
                raise await refuse(response, self._subject)
            if media_type(response) == "text/html":
                # What a proxy, or a platform under repair, shows to people.
                raise WebPage(self._subject)
        except BaseException:
            await self.__aexit__()
            raise
        return response

    async def __aexit__(self, *_: object) -> None:
        self._limiter.leave()
        if self._response is not None:
            self._response.release()
            await self._response.wait_for_close()


class ApiSession:
    """One account at a source: its session, its token, its limiter."""

    def __init__(self, name: str, http: Http, token: Token, limiter: ConcurrencyLimiter) -> None:
        self._name = name
        self._http = http
        self._token = token
        self._limiter = limiter

    def request(
        self,
        method: str,
        url: URL,
        *,
        subject: str,
        headers: Mapping[str, str],
        data: bytes | None = None,
        also: Collection[int] = (),
    ) -> Request:
        """Prepare a request, to be entered; also: statuses of failures that are an answer too.

        What is asked for is wanted whole, so nothing but 200 is an answer to GET.
        """
        send = partial(self._send, method, url, subject, headers, data)
        return Request(send, self._limiter, subject, method == "GET", also)

    async def _send(
        self, method: str, url: URL, subject: str, headers: Mapping[str, str], data: bytes | None
    ) -> aiohttp.ClientResponse:
        refused = 0
        for _ in range(TOKENS):
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
            except SourceUnavailable:
                self._limiter.timed_out(began)
                raise
            if response.status in PRESSED:
                self._limiter.refused(began, retry_after(response))
            else:
                self._limiter.answered(began)
            if response.status != 401:
                self._token.accept(token)
                return response
            response.release()
            # One that has been good has expired; of those that never were two are enough.
            refused += self._token.reject(token)
            if refused == NEW_TOKENS:
                break
        raise SignInRefused(f"source {self._name}", "the platform refuses a new token")
