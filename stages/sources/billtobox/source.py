"""Billtobox connector: lists, fetches and acknowledges documents by the external API v4."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, quote

import msgspec
import structlog
from yarl import URL

from pipeline.errors import Rejected, RetryableError, SourceError
from pipeline.source import Entry, Incoming, Outcome, Source
from pipeline.text import quoted
from pipeline.traits import Traits
from pipeline.turns import Turns
from stages.model import Listed
from stages.settings import Config, Member, members
from stages.sources.billtobox.api import Item, Page, Status
from stages.sources.billtobox.pages import (
    MAX_ITEMS,
    MAX_PAGE_BYTES,
    TooManyItems,
    read_items,
    read_page,
)
from stages.sources.billtobox.pagination import FIRST_PAGES, Pagination
from stages.sources.billtobox.resources import Owners, Resource, ScopedList, resources, scoped_lists
from stages.sources.billtobox.settings import Billtobox
from stages.sources.http.auth import BearerAuth
from stages.sources.http.client import HttpClient
from stages.sources.http.headers import NO_CODING, announced
from stages.sources.http.keyed import failure_of
from stages.sources.http.left_out import LeftOut
from stages.sources.http.lenient_json import JSON_ERRORS
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.oauth import SignIn
from stages.sources.http.probe import probe
from stages.sources.http.session import ApiRequest, ApiSession
from stages.sources.http.token import TokenCache
from stages.sources.http.token_store import token_path

log = structlog.get_logger(__name__)

#: Statuses of an address that does not exist.
GONE = (404, 410)
#: Statuses that carry no page of a list, but are no failure of the source either.
NOT_A_PAGE = (204, *GONE)
#: Statuses that mean that a document is not available in the requested form, as the same request
#: for another form has just succeeded.
FORM_UNAVAILABLE = (400, 405, 406, 415, 501)
#: Statuses that mean that a document is gone, or has been acknowledged before.
ALREADY_SETTLED = (404, 409, 410)
#: Entries that are yielded at once.
ENTRIES_AT_ONCE = 500

#: The platform's words for a document that is accepted, and for one that can't be delivered.
FORWARDED = "FORWARDED"
ERROR = "ERROR"

#: The media types by which other forms of a document are asked for.
MEDIA_TYPES = {"pdf": "application/pdf", "xml": "application/xml"}

JSON = {"Accept": "*/*", "Content-Type": "application/json"}


class NotAList(SourceError):
    """An answer that is no page of a list."""

    reason = "the answer is no list of documents"
    remedy = "Check url and the paths of the source"


class DocumentRequest(AbstractAsyncContextManager[Incoming]):
    """A request for a document. It is a class because that costs less than a generator."""

    def __init__(self, request: ApiRequest, http: HttpClient, label: str, media_type: str) -> None:
        self._request = request
        self._http = http
        self._label = label
        self._media_type = media_type

    async def __aenter__(self) -> Incoming:
        response = await self._request.__aenter__()
        if response.status in FORM_UNAVAILABLE:
            await self._request.__aexit__()
            raise Rejected(self._label, f"the source does not have it as {self._media_type}")
        return Incoming(announced(response), self._http.body(response, self._label))

    async def __aexit__(self, *_: object) -> None:
        await self._request.__aexit__()


class BilltoboxSource(Source):
    """One account at the platform, with one HTTP client and one access token."""

    traits = Traits(says_error=True)

    def __init__(self, settings: Billtobox, state_dir: Path, turns: Turns | None = None) -> None:
        self.name = settings.name
        self.settings = settings
        self.retries = settings.retries
        self._list_retries = settings.list_retries
        self._base = URL(settings.url)
        self._root = self._base.raw_path.rstrip("/")
        self._pending = dict(parse_qsl(settings.pending_filter))
        self._http = HttpClient.of(settings)
        self._state_dir = state_dir
        self._sign_in = SignIn(
            self.name, settings.client, self._http, token_path(state_dir, self.name), turns
        )
        self._token = TokenCache(self._sign_in.grant)
        self._limiter = ConcurrencyLimiter(settings.connections, self.retries)
        self.throttles = (self._limiter,)
        self._session = ApiSession(self.name, self._http, BearerAuth(self._token), self._limiter)
        self._resources = {resource.prefix: resource for resource in resources(settings)}
        self._pagination: Pagination[ScopedList] | None = None
        #: Pages that a walk begins with requesting at once: as many as the latest one has ended
        #: with, if nothing went wrong with it, and no more than there were lists.
        self._pages_at_once = FIRST_PAGES
        #: Whether the latest walk was over lists of several companies; and of which, by their
        #: platform_id, it could not read a list for now.
        self._has_several = False
        self._late: set[str | None] = set()
        #: Whether the latest walk was over the lists of all companies at once.
        self._is_of_all = False

    @property
    def sign_in_ends_at(self) -> float | None:
        """When the refresh token ends, as far as the token address has said."""
        return self._sign_in.ends_at

    async def signed_in_anew(self) -> None:
        """Return when the token to use is not the one that was refused."""
        await self._sign_in.renewed_by_user()

    async def list(self, config: Config) -> AsyncGenerator[Sequence[Entry], None]:
        """Read the platform's lists, several pages at once."""
        await self._sign_in.synchronise()
        at_source = members(config, self.name)
        owners = Owners(at_source)
        self._is_of_all = any(one.platform_id is None for one in at_source)
        lists = list(scoped_lists(self._resources.values(), self._asked(at_source)))
        asked = {one.platform_id for one in lists}
        self._has_several = len(asked) > 1
        self._pagination = Pagination(
            lists,
            self._fetch_page_retrying,
            self.settings.page_size,
            self.settings.connections,
            self._pages_at_once,
            lambda scoped: scoped.platform_id,
            self._late,
        )
        # Unless it gets to its end, for then it was not the trouble of one company.
        self._pages_at_once, self._late = FIRST_PAGES, self._late - asked
        left_out = LeftOut()
        try:
            async with aclosing(self._pagination.pages()) as pages:
                async for scoped, page in pages:
                    for start in range(0, len(page.results), ENTRIES_AT_ONCE):
                        items = await read_items(page.results[start : start + ENTRIES_AT_ONCE])
                        left_out.add(str(scoped), items)
                        yield [
                            entry
                            for item in items
                            if isinstance(item, Item)
                            and (entry := self._entry(item, scoped, config, owners)) is not None
                        ]
            self._pages_at_once = max(min(self._pagination.at_once, len(lists)), FIRST_PAGES)
        finally:
            self.unreadable = left_out.lists()
        if failures := self._pagination.failures:
            self._late |= {
                one.platform_id for one, error in failures if isinstance(error, RetryableError)
            }
            raise failure_of([error for _, error in failures], len(lists), self.name)

    def by_company(self, config: Config) -> bool:
        """Where the platform tells companies apart, each has lists of its own."""
        return all(one.platform_id is not None for one in members(config, self.name))

    def backlog(self) -> int | None:
        """The sum of the totals that the lists state, if all of them do."""
        return self._pagination.total if self._pagination is not None else None

    def fetch(self, entry: Entry, form: str = "") -> AbstractAsyncContextManager[Incoming]:
        """GET a document, in the form that `Accept` asks for."""
        media_type = MEDIA_TYPES.get(form, form)
        resource, id_ = self._locate(entry.id)
        request = self._session.request(
            "GET",
            self._url(resource, id_),
            subject=entry.label,
            headers={"Accept": media_type or resource.accept, "Accept-Encoding": NO_CODING},
            accepted=FORM_UNAVAILABLE if media_type else (),
        )
        return DocumentRequest(request, self._http, entry.label, media_type)

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        """PUT the status of each; the platform takes one in each request."""
        for outcome in outcomes:
            await self._acknowledge(outcome)
        return [outcome.id for outcome in outcomes]

    def shows(self, id: str, company: str) -> bool:  # noqa: A002 - as in the contract
        """A company is told by its own list; without one, only the lists of all tell."""
        resource = id.partition("/")[0]
        return resource in self._resources and (bool(company) or self._is_of_all)

    async def check(self, config: Config) -> str:
        """Sign in and read the total of each list; with a refresh token, only try the addresses.

        Then it tells until when one is signed in. NotSignedIn if nobody is.

        A refresh token is good for one sign-in, which is left to a service that may be running.
        """
        if self.settings.exclusive_sign_in:
            sign_in, url = self._sign_in, self.settings.url
            return await probe(self.settings, self._state_dir, sign_in, self._http, url)
        at_source = members(config, self.name)
        totals: dict[str, list[int | None]] = {}
        for scoped in scoped_lists(self._resources.values(), at_source):
            page = await self._fetch_page(scoped, 0, size=1)
            totals.setdefault(scoped.resource.plural, []).append(page.total)
        found = [
            f"{'some' if None in counts else sum(count or 0 for count in counts)} {plural}"
            for plural, counts in totals.items()
        ]
        return f"signed in; to be fetched: {', '.join(found)}"

    async def close(self) -> None:
        """Store a renewed refresh token if that is pending, and close the connections."""
        await self._sign_in.close()
        await self._http.close()

    async def _fetch_page_retrying(self, scoped: ScopedList, number: int) -> Page:
        """A page of a list; temporary failures are retried, unless its company has them already."""
        ask = partial(self._fetch_page, scoped, number, self.settings.page_size)
        assert self._pagination is not None
        if self._has_several and scoped.platform_id in self._pagination.late:
            return await ask()
        return await self._list_retries.run(ask, NotAList)

    async def _fetch_page(self, scoped: ScopedList, number: int, size: int) -> Page:
        query = {"page": str(number), "size": str(size)} | self._pending
        if self.settings.sort:
            query["sort"] = self.settings.sort
        if scoped.platform_id is not None:
            query["platform_id"] = scoped.platform_id
        subject = f"source {self.name}, {scoped.subject}"
        url = self._url(scoped.resource).with_query(query)
        async with self._session.request(
            "GET", url, subject=subject, headers={"Accept": "application/json"}, accepted=NOT_A_PAGE
        ) as answer:
            if answer.status in GONE:
                raise SourceError(
                    subject,
                    f"there is no list at /{scoped.resource.path} ({answer.status})",
                    "Check url and the paths of the source; an empty path switches a list off",
                )
            body = await self._http.read(answer, MAX_PAGE_BYTES, subject)
        try:
            return await read_page(body)
        except TooManyItems:
            said = f"a page has more than {MAX_ITEMS:,} documents"
            failure = SourceError(subject, said, "Tell the platform")
        except JSON_ERRORS:
            start = quoted(body[:60].decode("utf-8", "replace"))
            failure = NotAList(
                subject, f'the answer is no list of documents but begins with "{start}"'
            )
        # The error may be kept until all lists are read; its traceback must not keep the body.
        del body
        raise failure

    def _asked(self, at_source: Sequence[Member]) -> Sequence[Member]:
        """The companies whose lists a walk is over."""
        if self.only is None:
            return at_source
        return [one for one in at_source if one.company.identifier in self.only]

    def _entry(
        self, item: Item, scoped: ScopedList, config: Config, owners: Owners
    ) -> Entry | None:
        """The entry of an item; None if it concerns no configured company."""
        resource = scoped.resource
        pending = self._pending.get("accounting_status")
        if pending and item.accounting_status and not _is_spelt(item.accounting_status, pending):
            return None
        company = owners.find(item, scoped)
        if company is None and owners.strict:
            return None
        named = f"{resource.plural.removesuffix('s')} {item.number}".strip()
        return Entry(
            id=f"{resource.prefix}/{item.id}",
            revision=str(item.revision or item.sha256 or ""),
            label=f"{quoted(named)} (id {quoted(str(item.id))})",
            meta=Listed(
                config=config,
                id=str(item.id),
                kind=resource.kind,
                company=company.identifier if company else None,
                number=item.number,
                issue_date=item.date,
                # No document has none.
                size=item.size if item.size is not None and item.size > 0 else None,
                sha256=item.sha256 or None,
            ),
        )

    async def _acknowledge(self, outcome: Outcome) -> None:
        resource, id_ = self._locate(outcome.id)
        url = self._url(resource, id_, self.settings.status_path)
        subject = f"source {self.name}, acknowledgement of {resource.prefix} {id_}"
        body = Status(FORWARDED if outcome.accepted else ERROR, outcome.reason)
        async with self._session.request(
            "PUT",
            url,
            subject=subject,
            headers=JSON,
            data=msgspec.json.encode(body),
            accepted=ALREADY_SETTLED,
        ) as response:
            if response.status in ALREADY_SETTLED:
                log.warning(
                    "the platform does not take this acknowledgement any more",
                    source=self.name,
                    id=quoted(outcome.id),
                    status=response.status,
                )

    def _url(self, resource: Resource, *parts: str) -> URL:
        below = "/".join([self._root, resource.path, *[quote(part, safe="") for part in parts]])
        return self._base.with_path(below, encoded=True)

    def _locate(self, id_: str) -> tuple[Resource, str]:
        prefix, _, rest = id_.partition("/")
        if prefix not in self._resources:
            raise SourceError(
                f"source {self.name}, {prefix} {quoted(rest)}",
                "its list has been switched off",
                "Set the path of that list again until the platform has been told",
            )
        return self._resources[prefix], rest


def _is_spelt(text: str, word: str) -> bool:
    """Whether a text is a word, whatever its case and the signs in it; or says nothing."""
    if text == word:
        return True
    bare, sought = ("".join(filter(str.isalnum, one)).upper() for one in (text, word))
    return bare in ("", sought)
