"""The Billtobox connector: lists, fetches and acknowledges documents by the v4 wire format."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, quote

import anyio
import anyio.to_thread
import msgspec
import structlog
from yarl import URL

from pipeline.errors import Rejected, SourceError
from pipeline.retry import RetryPolicy
from pipeline.source import Entry, Incoming, Outcome, Source
from pipeline.text import printable
from stages.model import Listed
from stages.settings import Billtobox, Config
from stages.sources.billtobox.api import Page, Status
from stages.sources.billtobox.pages import ITEMS, LIST_LIMIT, Crowded, read_item, read_page
from stages.sources.billtobox.pagination import Walk
from stages.sources.billtobox.resources import Mailbox, Owners, Resource, mailboxes, resources
from stages.sources.http.client import UNREADABLE, Http, Timeouts
from stages.sources.http.headers import is_packed, quoted
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.oauth import Client, SignIn
from stages.sources.http.session import ApiSession, Request
from stages.sources.http.token import Token

log = structlog.get_logger(__name__)

#: Statuses of an address that has nothing.
NOT_THERE = (404, 410)
#: Statuses that are no page of a list, and no failure of the source either.
NO_PAGE = (204, *NOT_THERE)
#: Statuses that say that a document can't be had in the form that is asked for: the same request
#: for another form has just been answered.
NO_SUCH_FORM = (400, 405, 406, 415, 501)
#: Statuses that say that an acknowledged document is not there any more, or is told already.
SETTLED = (404, 409, 410)
#: How often a page of a list is asked for, at most, before the poll is given up.
LIST_ATTEMPTS = 3
#: Items of lists that can't be read and of which it is said why, at most.
TOLD = 20
#: Entries that are handed over at once.
HANDFUL = 500
#: Checksums are of the bytes as they are sent, so documents are to be sent as they are.
AS_IT_IS = "identity"

#: The platform's words for a document that is accepted, and for one that can't be delivered.
FORWARDED = "FORWARDED"
ERROR = "ERROR"

JSON = {"Accept": "*/*", "Content-Type": "application/json"}


class NoList(SourceError):
    """An answer in which nothing is listed."""

    reason = "the answer is no list of documents"
    remedy = "Check url and the paths of the source"


class Arriving(AbstractAsyncContextManager[Incoming]):
    """A document that has been asked for; as a class, for it costs less than a generator."""

    def __init__(self, request: Request, http: Http, label: str, media_type: str) -> None:
        self._request = request
        self._http = http
        self._label = label
        self._media_type = media_type

    async def __aenter__(self) -> Incoming:
        response = await self._request.__aenter__()
        if response.status in NO_SUCH_FORM:
            await self._request.__aexit__()
            raise Rejected(self._label, f"the source does not have it as {self._media_type}")
        said = response.headers
        headers = {
            name.lower(): value if value.isprintable() else printable(value)
            for name, value in said.items()
        }
        if len(headers) < len(said):
            headers = {name: printable(", ".join(said.getall(name))) for name in headers}
        return Incoming(
            headers=headers,
            length=None if is_packed(response) else response.content_length,
            chunks=self._http.body(response, self._label),
        )

    async def __aexit__(self, *_: object) -> None:
        await self._request.__aexit__()


class BilltoboxSource(Source):
    """One account at the platform, with one session and one token."""

    def __init__(self, settings: Billtobox, state_dir: Path) -> None:
        self.name = settings.name
        self.settings = settings
        self.retries = RetryPolicy(
            settings.attempts,
            settings.retry_wait,
            settings.longest_retry_wait,
            settings.longest_asked_wait,
        )
        self._list_retries = msgspec.structs.replace(
            self.retries, attempts=min(settings.attempts, LIST_ATTEMPTS)
        )
        self._base = URL(settings.url)
        self._root = self._base.raw_path.rstrip("/")
        self._pending = dict(parse_qsl(settings.pending_filter))
        self._http = Http(
            self.name,
            connections=settings.connections,
            timeouts=Timeouts(
                settings.connect_timeout, settings.first_byte_timeout, settings.stall_timeout
            ),
            ca_file=settings.ca_file,
        )
        client = Client(
            settings.token_url,
            settings.client_id,
            settings.client_secret,
            settings.scope,
            settings.refresh_token,
        )
        self._sign_in = SignIn(self.name, client, self._http, state_dir / "tokens" / self.name)
        self._token = Token(self._sign_in.grant)
        self._limiter = ConcurrencyLimiter(settings.connections, self.retries)
        self._session = ApiSession(self.name, self._http, self._token, self._limiter)
        # Documents come first: acknowledgements take up to half of what may be under way.
        self._telling = anyio.Semaphore(max(settings.connections // 2, 1), fast_acquire=True)
        self._resources = {resource.word: resource for resource in resources(settings)}
        #: Items that the latest walk over the lists had to leave out, for they can't be read.
        self.unreadable = 0
        self._left_out = 0
        self._unreadable: set[int] = set()
        self._walk: Walk[Mailbox] | None = None

    async def list(self, config: Config) -> AsyncGenerator[Sequence[Entry], None]:
        """Walk the platform's lists, several pages at once."""
        companies = [company for company in config.companies if company.source == self.name]
        owners = Owners(companies)
        self._walk = Walk(
            mailboxes(self._resources.values(), companies), self._page, self.settings.page_size
        )
        self._left_out = 0
        try:
            async with aclosing(self._walk.pages()) as pages:
                async for mailbox, page in pages:
                    for start in range(0, len(page.results), HANDFUL):
                        yield [
                            entry
                            for raw in page.results[start : start + HANDFUL]
                            if (entry := self._entry(raw, mailbox, config, owners)) is not None
                        ]
        finally:
            self._count_unreadable()

    def backlog(self) -> int | None:
        """The totals that the lists state, if all of them do."""
        return self._walk.total if self._walk is not None else None

    def fetch(self, entry: Entry, media_type: str = "") -> AbstractAsyncContextManager[Incoming]:
        """GET the document itself, in the form that `Accept` asks for."""
        resource, id_ = self._locate(entry.id)
        request = self._session.request(
            "GET",
            self._url(resource, id_),
            subject=entry.label,
            headers={"Accept": media_type or resource.accept, "Accept-Encoding": AS_IT_IS},
            also=NO_SUCH_FORM if media_type else (),
        )
        return Arriving(request, self._http, entry.label, media_type)

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> None:
        """PUT the status of each: the platform takes one in each request."""
        for outcome in outcomes:
            async with self._telling:
                await self._tell(outcome)

    async def check(self, config: Config) -> str:
        """Sign in and ask each list how much it holds; with a refresh token, only look.

        A refresh token is good for one sign-in, and that is the service's, which may be running.
        """
        if self.settings.refresh_token is not None:
            return await self._look()
        companies = [company for company in config.companies if company.source == self.name]
        totals: dict[str, list[int | None]] = {}
        for mailbox in mailboxes(self._resources.values(), companies):
            page = await self._ask(mailbox, 0, size=1)
            totals.setdefault(mailbox.resource.plural, []).append(page.total)
        found = [
            f"{'some' if None in counts else sum(count or 0 for count in counts)} {plural}"
            for plural, counts in totals.items()
        ]
        return f"signed in; to be fetched: {', '.join(found)}"

    async def close(self) -> None:
        """Store what is left to be stored, and close the connections."""
        await self._sign_in.close()
        await self._http.close()

    async def _look(self) -> str:
        """Ask the addresses for anything, without credentials."""
        await anyio.to_thread.run_sync(self._sign_in.read_secrets)
        for url in (URL(self.settings.token_url), self._base):
            answer = await self._http.send("GET", url, subject=f"source {self.name}")
            answer.release()
        return (
            "its addresses answer and its secrets can be read; not signed in, for a refresh token"
            " is good for one sign-in, which is left to the service (catch-up --dry-run signs in)"
        )

    async def _page(self, mailbox: Mailbox, number: int) -> Page:
        """A page of a list, asked for again while it fails for now."""
        ask = partial(self._ask, mailbox, number, self.settings.page_size)
        return await self._list_retries.run(ask, NoList)

    async def _ask(self, mailbox: Mailbox, number: int, size: int) -> Page:
        query = {"page": str(number), "size": str(size)} | self._pending
        if self.settings.sort:
            query["sort"] = self.settings.sort
        if mailbox.platform_id is not None:
            query["platform_id"] = mailbox.platform_id
        subject = f"source {self.name}, list of {mailbox.resource.plural}"
        url = self._url(mailbox.resource).with_query(query)
        async with self._session.request(
            "GET", url, subject=subject, headers={"Accept": "application/json"}, also=NO_PAGE
        ) as answer:
            if answer.status in NOT_THERE:
                raise SourceError(
                    subject,
                    f"there is no list at /{mailbox.resource.path} ({answer.status})",
                    "Check url and the paths of the source; an empty path switches a list off",
                )
            body = await self._http.read(answer, LIST_LIMIT, subject)
        try:
            return await read_page(body)
        except Crowded:
            said = f"a page has more than {ITEMS:,} documents"
            failure = SourceError(subject, said, "Tell the platform")
        except UNREADABLE:
            start = quoted(body[:60].decode("utf-8", "replace"))
            failure = NoList(
                subject, f'the answer is no list of documents but begins with "{start}"'
            )
        # An error that is kept until the walk is over would keep all that is seen from here.
        del body
        raise failure

    def _entry(
        self, raw: msgspec.Raw, mailbox: Mailbox, config: Config, owners: Owners
    ) -> Entry | None:
        """The entry of a listed item; None for one that can't be read or is not for us."""
        resource = mailbox.resource
        try:
            item = read_item(raw)
        except UNREADABLE as error:
            self._left_out += 1
            self._tell_once(resource, raw, error)
            return None
        pending = self._pending.get("accounting_status")
        if pending and item.accounting_status not in (None, pending):
            return None
        company = owners.find(item, mailbox)
        if company is None and owners.strict:
            return None
        named = f"{resource.plural.removesuffix('s')} {item.number}".strip()
        return Entry(
            id=f"{resource.word}/{item.id}",
            revision=str(item.revision or item.sha256 or ""),
            label=f"{quoted(named)} (id {quoted(str(item.id))})",
            meta=Listed(
                config=config,
                kind=resource.kind,
                company=company.identifier if company else None,
                number=item.number,
                issue_date=item.date,
                size=item.size if item.size is None or item.size >= 0 else None,
                sha256=item.sha256.lower() if item.sha256 else None,
            ),
        )

    def _count_unreadable(self) -> None:
        """Keep how many items a walk left out, and say so when they are more than before."""
        if self._left_out > self.unreadable:
            log.warning("listed items can't be read", source=self.name, items=self._left_out)
        self.unreadable = self._left_out

    def _tell_once(self, resource: Resource, raw: msgspec.Raw, error: Exception) -> None:
        """Say why an item can't be read: every walk over the list comes by it again."""
        mark = hash(bytes(raw))
        if mark in self._unreadable or len(self._unreadable) == TOLD:
            return
        self._unreadable.add(mark)
        log.warning(
            "a listed item can't be read",
            source=self.name,
            list=resource.path,
            why=quoted(str(error)),
        )

    async def _tell(self, outcome: Outcome) -> None:
        resource, id_ = self._locate(outcome.id)
        url = self._url(resource, id_, self.settings.status_path)
        subject = f"source {self.name}, acknowledgement of {resource.word} {id_}"
        body = Status(FORWARDED if outcome.accepted else ERROR, outcome.reason)
        async with self._session.request(
            "PUT", url, subject=subject, headers=JSON, data=msgspec.json.encode(body), also=SETTLED
        ) as response:
            if response.status in SETTLED:
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
        word, _, rest = id_.partition("/")
        if word not in self._resources:
            raise SourceError(
                f"source {self.name}, {word} {quoted(rest)}",
                "its list has been switched off",
                "Set the path of that list again until the platform has been told",
            )
        return self._resources[word], rest
