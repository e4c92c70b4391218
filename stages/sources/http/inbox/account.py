"""API account: one credential at a platform, and what is asked for with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

import anyio.to_thread
from yarl import URL

from pipeline.config.secrets import SecretMissing, read_secret
from pipeline.config.types import Secret
from pipeline.errors import SourceError
from pipeline.text import quoted
from stages.sources.http.auth import StaticAuth
from stages.sources.http.client import HttpClient, status_error
from stages.sources.http.keyed import KeyRefused
from stages.sources.http.lenient_json import JSON_ERRORS
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.session import ApiRequest, ApiSession
from stages.sources.http.settings import HttpSettings

T = TypeVar("T")

#: Bytes of an answer that is no document, at most.
MAX_LIST_BYTES = 32_000_000
#: Statuses of an address at which there is nothing.
GONE = (404, 410)
#: Statuses of a confirmation that may mean that it was given before.
PERHAPS_TOLD = (400, 404, 409, 410, 422)
#: What to do about a refused key.
REMEDY = "Put a valid key where the configuration says; it is read again before the next try"

JSON = {"Accept": "application/json"}


class NotThere(SourceError):
    """There is nothing at an address."""

    reason = "there is nothing at this address (404)"
    remedy = "Check url of the source"


class NotAnAnswer(SourceError):
    """An answer that is not what was asked for."""

    reason = "the answer is not what was asked for"
    remedy = "Check url of the source"


class ApiAccount:
    """One credential. id: tells it from the others of its source. subject: for errors.

    base: of all addresses. secrets: where its parts are. headers: makes of them what is sent.
    """

    def __init__(
        self,
        id_: str,
        subject: str,
        base: URL,
        http: HttpClient,
        settings: HttpSettings,
        limiter: ConcurrencyLimiter,
        secrets: Sequence[Secret],
        headers: Callable[[Sequence[str]], Mapping[str, str]],
        pacing: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.id = id_
        self.subject = subject
        self.http = http
        self._base = base
        self._secrets = secrets
        self._make = headers
        self._used: Mapping[str, str] = {}
        self._list_retries = settings.list_retries
        auth = StaticAuth(self._headers, KeyRefused.reason, REMEDY)
        name = subject.removeprefix("source ")
        self._session = ApiSession(name, http, auth, limiter, pacing)

    def request(
        self,
        method: str,
        path: str,
        subject: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] = JSON,
        data: bytes | None = None,
        accepted: Collection[int] = (),
    ) -> ApiRequest:
        """Prepare a request. path: below the base address, quoted already."""
        below = f"{self._base.raw_path.rstrip('/')}/{path}"
        url = self._base.with_path(below, encoded=True).with_query(query)
        return self._session.request(
            method, url, subject=subject, headers=headers, data=data, accepted=accepted
        )

    async def ask(
        self,
        path: str,
        what: str,
        read: Callable[[bytes], T],
        query: Mapping[str, str] | None = None,
        body: Callable[[ApiRequest, str], Awaitable[bytes]] | None = None,
    ) -> T:
        """GET what is no document; failures that pass are retried.

        NotThere if there is nothing. what: for errors. read: reads the answer, and may raise one of
        JSON_ERRORS. body: gets the body of the answer, where that is not simply read.
        """
        subject = f"{self.subject}, {what}"
        work = partial(self._ask, path, subject, read, query, body or self._body)
        return await self._list_retries.run(work, NotAnAnswer)

    async def tell(self, method: str, path: str, subject: str, data: bytes | None = None) -> None:
        """Confirm a document. It is no failure that it was confirmed before, or is gone."""
        headers = JSON if data is None else {**JSON, "Content-Type": "application/json"}
        async with self.request(
            method, path, subject, headers=headers, data=data, accepted=PERHAPS_TOLD
        ) as response:
            if response.status not in PERHAPS_TOLD or response.status in GONE:
                return
            refused = await status_error(response, subject)
            if "already" not in f"{response.reason} {refused.reason}".lower():
                raise refused

    async def has_changed(self) -> bool:
        """Whether the secrets are not what was used last."""
        return await self._read() != self._used

    async def _ask(
        self,
        path: str,
        subject: str,
        read: Callable[[bytes], T],
        query: Mapping[str, str] | None,
        body: Callable[[ApiRequest, str], Awaitable[bytes]],
    ) -> T:
        said = await body(self.request("GET", path, subject, query=query, accepted=GONE), subject)
        try:
            return await anyio.to_thread.run_sync(read, said)
        except JSON_ERRORS:
            start = quoted(said[:60].decode("utf-8", "replace"))
        # The error may be kept; its traceback must not keep the body.
        del said
        raise NotAnAnswer(subject, f'{NotAnAnswer.reason} but begins with "{start}"')

    async def _body(self, request: ApiRequest, subject: str) -> bytes:
        async with request as answer:
            if answer.status in GONE:
                raise NotThere(subject)
            return await self.http.read(answer, MAX_LIST_BYTES, subject)

    async def _headers(self) -> Mapping[str, str]:
        self._used = await self._read()
        return self._used

    async def _read(self) -> Mapping[str, str]:
        try:
            found = [
                (await anyio.to_thread.run_sync(read_secret, one)).strip() for one in self._secrets
            ]
        except SecretMissing as error:
            reason = f"its key can't be read: {error.subject}: {error.reason}"
            raise KeyRefused(self.subject, reason, error.remedy) from None
        if not all(one and one.isascii() and one.isprintable() for one in found):
            reason = "its key can't be read: what lies there is no key"
            raise KeyRefused(self.subject, reason, "Write the key there, and nothing else")
        return self._make(found)
