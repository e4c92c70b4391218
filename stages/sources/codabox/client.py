"""API client: the requests of CodaBox's delivery API v2 that a source makes."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import aiohttp
import anyio
import anyio.to_thread
import msgspec
from yarl import URL

from pipeline.config.secrets import read_secret
from pipeline.errors import SourceError, SourceUnavailable
from pipeline.sign_in import sign_in_command
from pipeline.text import quoted
from stages.sources.codabox.api import (
    Client,
    Feed,
    PodClient,
    read_clients,
    read_feed,
    read_pod,
)
from stages.sources.codabox.credentials import Credentials
from stages.sources.codabox.settings import CodaBox
from stages.sources.http.auth import StaticAuth
from stages.sources.http.client import HttpClient
from stages.sources.http.headers import NO_CODING, retry_after
from stages.sources.http.lenient_json import JSON_ERRORS
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.places import Places
from stages.sources.http.session import TOO_MANY_REQUESTS, ApiRequest, ApiSession
from stages.sources.http.slash import SlashGet

#: Bytes of an answer in JSON, at most, and pages of clients.
MAX_ANSWER = 32_000_000
MAX_PAGES = 500
#: Seconds between two looks at the stored credentials after they were refused.
CHECK_INTERVAL = 2.0
#: What an offset is answered with that the platform does not take.
OFFSET_REFUSED = (400, 404, 409, 410)

SOFTWARE_COMPANY = "X-Software-Company"


class TooEarly(SourceUnavailable):
    """The platform says that it was asked too early (429)."""

    reason = "the platform was asked too early"


class NotAFeed(SourceError):
    """An answer that is no feed; the platform has counted the request all the same."""

    reason = "the answer is no list of documents"


class ApiClient:
    """One account at the platform. delay: seconds to wait after a 429, at least."""

    def __init__(self, settings: CodaBox, state_dir: Path) -> None:
        self.delay: float = settings.fetch_delay
        self._settings = settings
        self._subject = f"source {settings.name}"
        self._store = settings.credentials(state_dir)
        self._base = URL(settings.url)
        self._root = self._base.raw_path.rstrip("/")
        self._feed, self._download = (
            ("redownload-feed", "redownload")
            if settings.feed == "redownload"
            else ("feed", "download")
        )
        self._retries = settings.list_retries
        self.http = HttpClient.of(settings)
        remedy = (
            f"Sign in again: {sign_in_command(settings.name)}"
            if settings.by_person
            else "Check username, password and software_company in [[sources]], and ask CodaBox"
            " whether they have been revoked"
        )
        auth = StaticAuth(self._headers, "the platform refuses its user and password", remedy)
        self._used: Credentials | None = None

        places = Places()

        def session(connections: int) -> ApiSession:
            limiter = ConcurrencyLimiter(connections, settings.retries, places)
            return ApiSession(settings.name, self.http, auth, limiter)

        # A list that was asked for too early must not hold up documents.
        self._lists = session(1)
        self._documents = session(settings.connections)

    async def pod(self) -> PodClient:
        """Who one is there. SourceError if the answer is no such thing, as of all of these."""
        subject = f"{self._subject}, its account (pod-client)"
        body = await self._json(self._url("delivery", "pod-client"), subject)
        try:
            return read_pod(body)
        except JSON_ERRORS:
            raise _unreadable(subject, body, "does not say whose documents there are") from None

    async def feed(self, id_: str, label: str) -> Feed:
        """What waits in a feed. TooEarly if the platform says so, NotAFeed."""
        subject = f"{self._subject}, feed of {label}"
        body = await self._json(self._url("delivery", self._feed, id_), subject, gone=True)
        try:
            return read_feed(body)
        except JSON_ERRORS:
            said = _unreadable(subject, body, "is no list of documents")
            raise NotAFeed(said.subject, said.reason, said.remedy) from None

    async def clients(self) -> list[Client]:
        """The clients of the firm, also those without a feed."""
        subject = f"{self._subject}, its clients"
        url = self._url("clients")
        found: list[Client] = []
        for _ in range(MAX_PAGES):
            body = await self._json(url, subject)
            try:
                clients, following = read_clients(body)
                # Credentials go to no other host.
                url = self._base.join(URL(following))
                is_ours = url.origin() == self._base.origin()
            except JSON_ERRORS:
                raise _unreadable(subject, body, "is no list of clients") from None
            found += clients
            if not following or not is_ours:
                break
        return found

    def document(
        self, index: str, format_: str, subject: str, accepted: Collection[int]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """GET a document in one of its formats. accepted: error statuses that are answers too."""
        return SlashGet(
            self._documents,
            self._url("delivery", self._download, index, format_),
            subject=subject,
            headers={"Accept": "*/*", "Accept-Encoding": NO_CODING},
            accepted=accepted,
        )

    def offset(self, feed: str, index: str) -> ApiRequest:
        """PUT an offset: all up to this document is received. OFFSET_REFUSED are answers too."""
        return self._documents.request(
            "PUT",
            self._url("delivery", self._feed, feed),
            subject=f"{self._subject}, offset of feed {quoted(feed)}",
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            data=msgspec.json.encode({"feed_offset": index}),
            accepted=OFFSET_REFUSED,
        )

    async def signed_in_anew(self) -> None:
        """Return when the credentials are not those that were used last."""
        if not self._settings.by_person:
            await anyio.sleep_forever()
        while True:
            await anyio.sleep(CHECK_INTERVAL)
            if await anyio.to_thread.run_sync(self._read_if_there) not in (None, self._used):
                return

    async def close(self) -> None:
        """Close all connections."""
        await self.http.close()

    async def _headers(self) -> Mapping[str, str]:
        self._used = used = await anyio.to_thread.run_sync(self._credentials)
        company = await anyio.to_thread.run_sync(read_secret, self._settings.software_company)
        pair = f"{used.username}:{used.password}".encode()
        basic = base64.b64encode(pair).decode()
        return {"Authorization": f"Basic {basic}", SOFTWARE_COMPANY: company}

    def _credentials(self) -> Credentials:
        if self._settings.password is None:
            return self._store.read()
        return Credentials(self._settings.username, read_secret(self._settings.password))

    def _read_if_there(self) -> Credentials | None:
        try:
            return self._store.read()
        except SourceError:
            return None

    def _url(self, *parts: str) -> URL:
        below = "/".join([self._root, *[quote(part, safe="") for part in parts], ""])
        return self._base.with_path(below, encoded=True)

    async def _json(self, url: URL, subject: str, *, gone: bool = False) -> bytes:
        return await self._retries.run(partial(self._read, url, subject, gone))

    async def _read(self, url: URL, subject: str, gone: bool) -> bytes:
        accepted = (TOO_MANY_REQUESTS, 404, 410) if gone else (TOO_MANY_REQUESTS,)
        async with SlashGet(
            self._lists,
            url,
            subject=subject,
            headers={"Accept": "application/json"},
            accepted=accepted,
        ) as answer:
            if answer.status == TOO_MANY_REQUESTS:
                wait = max(retry_after(answer) or 0.0, self.delay)
                raise TooEarly(
                    subject,
                    f"the platform was asked too early (429): it is left alone for {wait:,.0f} s",
                    "If this goes on, see whether another program uses the same account",
                    retry_after=wait,
                )
            if answer.status != 200:
                raise SourceError(
                    subject,
                    f"there is none any more ({answer.status})",
                    "Ask CodaBox whether this client has left the firm's account there",
                )
            return await self.http.read(answer, MAX_ANSWER, subject)


def _unreadable(subject: str, body: bytes, what: str) -> SourceError:
    start = quoted(body[:60].decode("utf-8", "replace"))
    return SourceError(subject, f'the answer {what} but begins with "{start}"', "Check url")
