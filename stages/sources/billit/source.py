"""Billit connector: lists, fetches and confirms documents of a feed, or of the Peppol inbox."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
import msgspec
import structlog
from yarl import URL

from pipeline.config.secrets import read_secret
from pipeline.errors import Rejected, SignInRefused, SourceError, SynqupError
from pipeline.push.inbox import PushInbox
from pipeline.source import Entry, FoundCompany, Incoming, Outcome, Source
from pipeline.text import quoted
from pipeline.traits import Traits
from pipeline.turns import Turns
from stages.settings import Config, members
from stages.sources.billit.api import MAX_LIST_BYTES, account_companies
from stages.sources.billit.content import DocumentRequest
from stages.sources.billit.doors import Door, NotThere
from stages.sources.billit.feeds import FeedDoor
from stages.sources.billit.inbox import InboxDoor
from stages.sources.billit.parties import Place, party_headers, place_of
from stages.sources.billit.push import is_signed
from stages.sources.billit.settings import FEEDS, INBOX, Billit
from stages.sources.http.auth import Auth, BearerAuth, StaticAuth
from stages.sources.http.client import HttpClient, status_error
from stages.sources.http.known_companies import KnownCompanies, compared
from stages.sources.http.left_out import LeftOut
from stages.sources.http.lenient_json import JSON_ERRORS
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.oauth import SignIn
from stages.sources.http.probe import probe
from stages.sources.http.session import TOO_MANY_REQUESTS, ApiSession
from stages.sources.http.token import TokenCache

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Statuses of an address at which there is nothing.
GONE = (404, 410)
#: Statuses of a confirmation that may mean that it was given before.
PERHAPS_TOLD = (400, 404, 409)
#: Seconds between two looks at whether the key has been replaced.
CHECK_INTERVAL = 2.0

#: What to do about a refused key.
KEY_REMEDY = "Put a valid key where the configuration says; it is read again before the next try"

ACCEPT_JSON = {"Accept": "application/json"}
JSON = {**ACCEPT_JSON, "Content-Type": "application/json"}


class NotAnAnswer(SourceError):
    """An answer that is not what was asked for."""

    reason = "the answer is not what was asked for"
    remedy = "Check url of the source"


class BillitSource(Source):
    """One account at Billit, by one of its two doors."""

    def __init__(self, settings: Billit, state_dir: Path, turns: Turns | None = None) -> None:
        self.name = settings.name
        self.settings = settings
        self.retries = settings.retries
        self._state_dir = state_dir
        self._list_retries = settings.list_retries
        self._http = HttpClient.of(settings)
        self._sign_in: SignIn | None = None
        self._key = ""
        auth: Auth = StaticAuth(self._read_key, remedy=KEY_REMEDY)
        if settings.api_key is None:
            path = settings.token_store(state_dir).path
            self._sign_in = SignIn(self.name, settings.client, self._http, path, turns)
            auth = BearerAuth(TokenCache(self._sign_in.grant))
        limiter = ConcurrencyLimiter(settings.connections, self.retries)
        self.throttles = (limiter,)
        self._session = ApiSession(self.name, self._http, auth, limiter)
        self._door: Door = FeedDoor(self) if settings.door == FEEDS else InboxDoor(self)
        self.traits: Traits = self._door.traits
        if settings.push_secret is not None:
            verify = partial(is_signed, max_age=settings.push_max_age)
            self.push = PushInbox(f"source {self.name}", settings.push_secret, verify)
        self._has_compared = False
        #: When confirmations were refused of which it is not known yet whether they had been given.
        self._doubtful: dict[str, float] = {}

    @property
    def sign_in_ends_at(self) -> float | None:
        """When the refresh token ends, as far as the token address has said."""
        return self._sign_in.ends_at if self._sign_in is not None else None

    async def signed_in_anew(self) -> None:
        """Return when the token, or the key, is not the one that was refused."""
        if self._sign_in is not None:
            await self._sign_in.renewed_by_user()
            return
        refused = self._key
        while True:
            await anyio.sleep(CHECK_INTERVAL)
            with suppress(SynqupError):
                if (await self._read_key())["ApiKey"] != refused:
                    return

    async def list(self, config: Config) -> AsyncGenerator[Sequence[Entry], None]:
        """Read the feed, or each inbox."""
        if self._sign_in is not None:
            await self._sign_in.synchronise()
        await self._compare_companies(config)
        left_out = LeftOut()
        try:
            at_source = members(config, self.name)
            async for page in self._door.pages(config, at_source, left_out, self.only):
                yield page
        finally:
            self.unreadable = left_out.lists()

    def by_company(self, config: Config) -> bool:
        """Each inbox is of one company, where the configuration says whose it is."""
        return self.settings.door != FEEDS and (
            self.settings.per_company
            or all(one.platform_id is not None for one in members(config, self.name))
        )

    def backlog(self) -> int | None:
        """How many the latest list has shown."""
        return self._door.shown

    def fetch(self, entry: Entry, form: str = "") -> AbstractAsyncContextManager[Incoming]:
        """GET a document, which comes as base64 in JSON."""
        if form:
            raise Rejected(entry.label, "Billit has each document in one form only")
        place = place_of(entry.id, entry.label)
        request = self._session.request(
            "GET", self._file(place), subject=entry.label, headers=self._headers(place)
        )
        return DocumentRequest(request, self._http, entry.label)

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        """Confirm what is safe with us, delivered or not; what could not be fetched stays there."""
        safe = [one.id for one in outcomes if one.accepted or one.kept]
        return [id_ for id_ in safe if await self._confirm(id_)]

    async def companies(self) -> Sequence[FoundCompany]:
        """The companies that the account gives access to."""
        return await self.ask("account/accountInformation", "companies", "", account_companies)

    def shows(self, id: str, company: str) -> bool:  # noqa: A002, ARG002 - as in the contract
        """A feed shows everything; an inbox, if it shows fewer than it shows at most."""
        try:
            place = place_of(id, f"source {self.name}")
        except SourceError:
            return False
        return place.door == self.settings.door and self._door.shows_all(place)

    async def check(self, config: Config) -> str:
        """Sign in, compare the companies, and look at the door; with OAuth, only try the addresses.

        NotSignedIn if nobody is signed in.
        """
        at_source = members(config, self.name)
        if self._sign_in is not None:
            url = str(self.settings.base)
            return await probe(self.settings, self._state_dir, self._sign_in, self._http, url)
        known = compared(await self.companies(), at_source)
        self._check_missing(known)
        return f"signed in; {known}; {await self._door.check(at_source)}"

    async def close(self) -> None:
        """Store a renewed refresh token if that is pending, and close the connections."""
        if self._sign_in is not None:
            await self._sign_in.close()
        await self._http.close()

    # What the doors need.

    async def ask(
        self,
        path: str,
        what: str,
        party: str,
        read: Callable[[bytes], T],
        query: dict[str, str] | None = None,
        pause: float = 0.0,
    ) -> T:
        """GET what is no document; failures that pass are retried.

        NotThere if there is nothing. what: for errors. party: the PartyID of the company. read:
        reads the answer, and may raise one of JSON_ERRORS. pause: seconds to wait where there were
        too many requests and the answer does not say how long.
        """
        url = self.url(path).with_query(query or {})
        headers = {**ACCEPT_JSON, **party_headers(self.settings, self.settings.door, party)}
        work = partial(self._ask, url, f"source {self.name}, {what}", headers, read, pause)
        return await self._list_retries.run(work, NotAnAnswer)

    async def post(self, path: str, what: str, body: object) -> None:
        """POST as one's own party."""
        headers = {**JSON, **party_headers(self.settings, self.settings.door, "")}
        async with self._session.request(
            "POST",
            self.url(path),
            subject=f"source {self.name}, {what}",
            headers=headers,
            data=msgspec.json.encode(body),
        ):
            pass

    def url(self, path: str) -> URL:
        """The address of a path, which is quoted already."""
        base = self.settings.base
        url: URL = base.with_path(f"{base.raw_path}/{path}", encoded=True)
        return url

    async def _ask(
        self,
        url: URL,
        subject: str,
        headers: Mapping[str, str],
        read: Callable[[bytes], T],
        pause: float,
    ) -> T:
        accepted = (*GONE, TOO_MANY_REQUESTS) if pause else GONE
        async with self._session.request(
            "GET", url, subject=subject, headers=headers, accepted=accepted
        ) as answer:
            if answer.status in GONE:
                raise NotThere(subject)
            if answer.status in accepted:
                error = await status_error(answer, subject)
                if getattr(error, "retry_after", 0.0) is None:
                    error.retry_after = pause  # type: ignore[attr-defined]
                raise error
            body = await self._http.read(answer, MAX_LIST_BYTES, subject)
        try:
            return await anyio.to_thread.run_sync(read, body)
        except JSON_ERRORS:
            start = quoted(body[:60].decode("utf-8", "replace"))
        # The error may be kept; its traceback must not keep the body.
        del body
        raise NotAnAnswer(subject, f'{NotAnAnswer.reason} but begins with "{start}"')

    def _headers(self, place: Place) -> dict[str, str]:
        return {**ACCEPT_JSON, **party_headers(self.settings, place.door, place.party)}

    def _file(self, place: Place) -> URL:
        if place.door == INBOX:
            return self.url(f"files/{quote(place.file, safe='')}")
        return self.url(self._item(place))

    def _item(self, place: Place) -> str:
        item = quote(place.item, safe="")
        if place.door == INBOX:
            return f"peppol/inbox/{item}"
        return f"accountant/feeds/{quote(self.settings.feed, safe='')}/{item}"

    async def _confirm(self, id_: str) -> bool:
        """Confirm one document; whether it is taken, or had been before."""
        subject = f"source {self.name}, confirmation of {quoted(id_)}"
        place = place_of(id_, subject)
        if (since := self._doubtful.get(id_)) is not None and await self._is_gone(place, since):
            return True
        is_feed = place.door == FEEDS
        server = self.settings.remote_server
        body = {"RemoteServerName": server} if server else {}
        async with self._session.request(
            "POST",
            self.url(f"{self._item(place)}/confirm"),
            subject=subject,
            headers=self._headers(place) | (JSON if is_feed else {}),
            data=msgspec.json.encode(body) if is_feed else None,
            accepted=PERHAPS_TOLD,
        ) as response:
            if response.status not in PERHAPS_TOLD:
                self._taken(place)
                return True
            refused = await status_error(response, subject)
        since = self._doubtful.setdefault(id_, time.monotonic())
        if await self._is_gone(place, since):
            return True
        log.warning(
            "Billit does not take a confirmation for now",
            source=self.name,
            id=quoted(id_),
            reason=refused.reason,
        )
        return False

    async def _is_gone(self, place: Place, since: float) -> bool:
        """Whether a list that was read since then does not show a document any more."""
        shown = await self._door.shown_since(place, since)
        if shown is None or place.item in shown:
            return False
        self._taken(place)
        return True

    def _taken(self, place: Place) -> None:
        self._doubtful.pop(place.id, None)
        self._door.confirmed(place)

    async def _compare_companies(self, config: Config) -> None:
        """Tell once which companies the account knows, and which it does not."""
        if self._has_compared:
            return
        try:
            known = compared(await self.companies(), members(config, self.name))
        except SignInRefused:
            raise
        except SynqupError as error:
            log.info("the companies of the account are not known", reason=str(error))
            return
        finally:
            self._has_compared = True
        log.info("companies compared", source=self.name, found=str(known))
        try:
            self._check_missing(known)
        except SourceError as error:
            log.warning("companies are missing", source=self.name, reason=str(error))

    def _check_missing(self, known: KnownCompanies) -> None:
        if known.missing:
            raise SourceError(
                f"source {self.name}",
                f"this account has no access to {known.missing_names}, whose documents don't come",
                "Correct platform_id in [[companies]], or have the company give the account access"
                " again at Billit",
            )

    async def _read_key(self) -> dict[str, str]:
        assert self.settings.api_key is not None
        self._key = await anyio.to_thread.run_sync(read_secret, self.settings.api_key)
        return {"ApiKey": self._key}
