"""API session: sends requests with the credentials of an account, within a concurrency limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial

import aiohttp
from yarl import URL

from pipeline.errors import RetryableError, SignInRefused, SourceUnavailable, WebPage
from stages.sources.http.auth import Auth
from stages.sources.http.client import HttpClient, status_error
from stages.sources.http.headers import HTML, is_part, media_type, retry_after
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.response import TimedResponse

#: Tokens that are tried for a request, at most, and how many of them may be new ones.
MAX_TOKENS = 6
MAX_NEW_TOKENS = 2
#: Statuses of an overloaded source.
TOO_MANY_REQUESTS = 429
OVERLOADED = (TOO_MANY_REQUESTS, 503)


class GivenUp(RetryableError):
    """A request that was late while other companies waited for its place."""

    reason = "it was given up for now: several requests of its company are not answered"
    remedy = "It will be retried; other companies are served meanwhile"


class ApiRequest(AbstractAsyncContextManager[aiohttp.ClientResponse]):
    """A request as a context manager: acquires a slot of the limiter, sends, and releases both.

    Raises the error of a status that is no success. It is a class because that costs less than a
    generator.
    """

    def __init__(
        self,
        send: Callable[[], Awaitable[aiohttp.ClientResponse]],
        limiter: ConcurrencyLimiter,
        subject: str,
        whole: bool,
        accepted: Collection[int],
    ) -> None:
        self._send = send
        self._limiter = limiter
        self._subject = subject
        self._whole = whole
        self._also = accepted
        self._response: aiohttp.ClientResponse | None = None
        self._company = ""
        #: The task that waits for the answer, and how often others had cancelled it.
        self._task: asyncio.Task[object] | None = None
        self._cancelled: int | None = None

    def give_up(self) -> None:
        """End it, so that its place is free: its body breaks off, or GivenUp is raised."""
        if self._response is not None:
            connection = self._response.connection
            if connection is not None and connection.transport is not None:
                connection.transport.abort()
        elif self._task is not None and self._cancelled is None:
            self._cancelled = self._task.cancelling()
            self._task.cancel()

    async def __aenter__(self) -> aiohttp.ClientResponse:
        limiter = self._limiter
        self._company = await limiter.acquire(self._subject, self, ending=not self._whole)
        try:
            self._response = response = await self._answer()
            status = response.status
            is_success = status == 200 or (not self._whole and 200 <= status < 300)
            if not (is_success or status in self._also) or (self._whole and is_part(response)):
                raise await status_error(response, self._subject)
            if not self._whole and media_type(response) == HTML:
                # The page of a proxy, or of a platform under maintenance. What is read of a GET
                # shows whether it is one.
                raise WebPage(self._subject)
        except BaseException:
            await self.__aexit__()
            raise
        return response

    async def _answer(self) -> aiohttp.ClientResponse:
        if not self._company:
            return await self._send()
        task = self._task = asyncio.current_task()
        try:
            return await self._send()
        except asyncio.CancelledError:
            if task is None or self._cancelled is None or task.uncancel() > self._cancelled:
                raise
            # As asyncio.timeout() does.
            raise GivenUp(self._subject) from None
        finally:
            self._task = None

    async def __aexit__(self, *_: object) -> None:
        self._limiter.release(self._company, self)
        if self._response is not None:
            self._response.release()
            await self._response.wait_for_close()


async def recorded(
    limiter: ConcurrencyLimiter, kind: Hashable, sending: Awaitable[TimedResponse]
) -> TimedResponse:
    """Send a request, and let its limiter know how it was answered. kind: of the request."""
    began = time.monotonic()
    try:
        response = await sending
    except SourceUnavailable:
        limiter.record_timeout(began)
        raise
    if response.status in OVERLOADED:
        too_fast = response.status == TOO_MANY_REQUESTS
        limiter.record_refusal(began, retry_after(response), too_fast=too_fast)
    else:
        limiter.record_answer(kind, response.latency)
    return response


class ApiSession:
    """One account at a source: its HTTP client, its authentication, its limiter.

    pacing: waits until the next request may be sent, where the platform says how many it takes.
    """

    def __init__(
        self,
        name: str,
        http: HttpClient,
        auth: Auth,
        limiter: ConcurrencyLimiter,
        pacing: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._name = name
        self._http = http
        self._auth = auth
        self._limiter = limiter
        self._pacing = pacing

    def request(
        self,
        method: str,
        url: URL,
        *,
        subject: str,
        headers: Mapping[str, str],
        data: bytes | None = None,
        accepted: Collection[int] = (),
    ) -> ApiRequest:
        """Prepare a request; nothing is sent before the context manager is entered.

        accepted: error statuses that are returned as answers too. Of the successes, GET accepts
        200 alone, as the whole document is wanted.
        """
        send = partial(self._send, method, url, subject, headers, data)
        return ApiRequest(send, self._limiter, subject, method == "GET", accepted)

    async def _send(
        self, method: str, url: URL, subject: str, headers: Mapping[str, str], data: bytes | None
    ) -> aiohttp.ClientResponse:
        refused = 0
        for _ in range(MAX_TOKENS):
            credentials = await self._auth.headers()
            if self._pacing is not None:
                await self._pacing()
            response = await recorded(
                self._limiter,
                (method, headers.get("Accept")),
                self._http.send(
                    method, url, subject=subject, headers={**credentials, **headers}, data=data
                ),
            )
            if response.status != 401:
                self._auth.accept(credentials)
                return response
            response.release()
            # A token that has worked has expired. Of those that never worked, two are enough.
            refused += self._auth.reject(credentials)
            if refused == MAX_NEW_TOKENS or not self._auth.renewable:
                break
        raise SignInRefused(f"source {self._name}", self._auth.refusal, self._auth.remedy)
