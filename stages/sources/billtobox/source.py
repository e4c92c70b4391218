"""The Billtobox connector: lists, fetches and acknowledges documents by the v4 wire format."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, quote

import aiohttp
import anyio
import msgspec
import structlog
from msgspec import Struct
from yarl import URL

from pipeline.errors import SignInRefused, SourceError, SynqupError
from pipeline.source import Entry, Incoming, Outcome, Source
from stages.list import Kind, Listed
from stages.settings import Billtobox, Company, Config
from stages.sources.billtobox.wire import Item, Page, Status
from stages.sources.http import Http, Timeouts, quoted, read_limited, refuse, speaking
from stages.sources.oauth import Client, Token

log = structlog.get_logger(__name__)

#: Bytes that a page of a list may have: fifty items have some thousand each.
LIST_LIMIT = 16_000_000
#: Bytes that are read of a document at a time.
CHUNK = 65_536
#: Statuses that say that an acknowledged document is not there any more, or is told already.
SETTLED = (404, 409, 410)
#: Acknowledgements that are on their way at once: the platform takes one in each request.
ACKNOWLEDGED_AT_ONCE = 16


class Resource(Struct, frozen=True):
    """One of the platform's lists: its path below the address, and what its documents are."""

    word: str
    path: str
    kind: Kind | None
    accept: str
    plural: str


class BilltoboxSource(Source):
    """One account at the platform, with one session and one token."""

    ack_batch = ACKNOWLEDGED_AT_ONCE

    def __init__(self, settings: Billtobox, state_dir: Path) -> None:
        self.name = settings.name
        self._settings = settings
        timeouts = Timeouts(
            settings.connect_timeout, settings.first_byte_timeout, settings.stall_timeout
        )
        self._http = Http(self.name, connections=settings.connections, timeouts=timeouts)
        client = Client(
            settings.token_url,
            settings.client_id,
            settings.client_secret,
            settings.scope,
            settings.refresh_token,
        )
        self._token = Token(self.name, client, self._http, state_dir / "tokens" / self.name)
        self._resources = {resource.word: resource for resource in _resources(settings)}

    async def list(self, config: Config) -> AsyncIterator[Sequence[Entry]]:
        """Walk the platform's lists, one after another, page by page."""
        for resource in self._resources.values():
            for platform_id in self._platform_ids(config):
                async for page in self._pages(resource, platform_id):
                    yield [
                        entry
                        for raw in page.results
                        if (entry := self._entry(raw, resource, config)) is not None
                    ]

    async def backlog(self, config: Config) -> int | None:
        """The totals that the lists state, if all of them do."""
        totals = [count async for _, count in self._totals(config)]
        return None if None in totals else sum(count or 0 for count in totals)

    @asynccontextmanager
    async def fetch(self, entry: Entry) -> AsyncIterator[Incoming]:
        """GET the document itself, in the form that `Accept` asks for."""
        resource, id_ = self._locate(entry.id)
        async with self._request(
            "GET", self._url(resource, id_), accept=resource.accept, subject=entry.label
        ) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            coded = headers.get("content-encoding", "identity") != "identity"
            yield Incoming(
                headers=headers,
                length=None if coded else response.content_length,
                chunks=_chunks(response, entry.label),
            )

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> None:
        """PUT the status of each; at once, for the platform takes one in each request."""
        failures: list[SynqupError] = []

        async def tell(outcome: Outcome) -> None:
            try:
                await self._tell(outcome)
            except SynqupError as error:
                failures.append(error)

        async with anyio.create_task_group() as group:
            for outcome in outcomes:
                group.start_soon(tell, outcome)
        if failures:
            raise failures[0]

    async def check(self, config: Config) -> str:
        """Sign in and ask each list how much it holds."""
        found = [
            f"{'some' if count is None else count} {resource.plural}"
            async for resource, count in self._totals(config)
        ]
        return f"signed in; to be fetched: {', '.join(found)}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _pages(self, resource: Resource, platform_id: str | None) -> AsyncIterator[Page]:
        number, before = 0, None
        while (page := await self._page(resource, platform_id, number)).results:
            content = [bytes(raw) for raw in page.results]
            if content == before:
                log.warning(
                    "the list repeats a page and is left there",
                    source=self.name,
                    list=resource.path,
                    page=number,
                )
                return
            yield page
            number, before = number + 1, content

    async def _page(
        self, resource: Resource, platform_id: str | None, number: int, size: int | None = None
    ) -> Page:
        query = {"page": str(number), "size": str(size or self._settings.page_size)}
        query |= dict(parse_qsl(self._settings.pending_filter))
        if self._settings.sort:
            query["sort"] = self._settings.sort
        if platform_id is not None:
            query["platform_id"] = platform_id
        subject = f"source {self.name}, list of {resource.plural}"
        url = self._url(resource).with_query(query)
        async with self._request("GET", url, accept="application/json", subject=subject) as answer:
            body = await read_limited(answer, LIST_LIMIT, subject)
        try:
            return msgspec.json.decode(body, type=Page)
        except msgspec.DecodeError:
            start = quoted(body[:60].decode("utf-8", "replace"))
            raise SourceError(
                subject,
                f'the answer is no list of documents but begins with "{start}"',
                "Check url and the paths of the source",
            ) from None

    async def _totals(self, config: Config) -> AsyncIterator[tuple[Resource, int | None]]:
        for resource in self._resources.values():
            pages = [
                await self._page(resource, platform_id, 0, size=1)
                for platform_id in self._platform_ids(config)
            ]
            totals = [page.total for page in pages]
            yield resource, None if None in totals else sum(total or 0 for total in totals)

    def _entry(self, raw: msgspec.Raw, resource: Resource, config: Config) -> Entry | None:
        """The entry of a listed item; None for one that can't be read or is not for us."""
        try:
            item = msgspec.json.decode(raw, type=Item)
        except msgspec.DecodeError as error:
            log.warning(
                "a listed item can't be read", source=self.name, list=resource.path, why=str(error)
            )
            return None
        pending = dict(parse_qsl(self._settings.pending_filter)).get("accounting_status")
        if pending and item.accounting_status not in (None, pending):
            return None
        companies = self._companies(config)
        company = _mailbox(item, companies)
        if company is None and all(one.platform_id is not None for one in companies):
            return None
        named = f"{resource.plural.removesuffix('s')} {item.number}".strip()
        return Entry(
            id=f"{resource.word}/{item.id}",
            revision=str(item.revision or item.sha256 or ""),
            label=f"{quoted(named)} (id {quoted(str(item.id))})",
            facts=Listed(
                config=config,
                kind=resource.kind,
                company=company.identifier if company else None,
                number=item.number,
                issue_date=item.date,
                size=item.size,
                sha256=item.sha256.lower() if item.sha256 else None,
            ),
        )

    async def _tell(self, outcome: Outcome) -> None:
        resource, id_ = self._locate(outcome.id)
        url = self._url(resource, id_, self._settings.status_path)
        subject = f"source {self.name}, acknowledgement of {resource.word} {id_}"
        body = Status(outcome.status.value, outcome.message)
        async with self._request("PUT", url, json=body, subject=subject, also=SETTLED) as response:
            if response.status in SETTLED:
                log.warning(
                    "the platform does not take this acknowledgement any more",
                    source=self.name,
                    id=outcome.id,
                    status=response.status,
                )

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: URL,
        *,
        subject: str,
        accept: str = "*/*",
        json: Status | None = None,
        also: Sequence[int] = (),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request with the token, once more with a new one if it was refused.

        Yields a successful answer, or one whose status is in `also`; raises the others' errors.
        """
        for last in (False, True):
            token = await self._token.get()
            headers = {"Authorization": f"Bearer {token}", "Accept": accept}
            async with self._http.request(
                method, url, subject=subject, headers=headers, json=json
            ) as response:
                if response.status == 401:
                    self._token.reject(token)
                    if not last:
                        continue
                    raise SignInRefused(f"source {self.name}", "the platform refuses a new token")
                if not 200 <= response.status < 300 and response.status not in also:
                    raise await refuse(response, subject)
                yield response
                return

    def _url(self, resource: Resource, *parts: str) -> URL:
        below = "/".join((resource.path, *(quote(part, safe="") for part in parts)))
        return URL(f"{self._settings.url.rstrip('/')}/{below}", encoded=True)

    def _locate(self, id_: str) -> tuple[Resource, str]:
        word, _, rest = id_.partition("/")
        return self._resources[word], rest

    def _companies(self, config: Config) -> Sequence[Company]:
        return [company for company in config.companies if company.source == self.name]

    def _platform_ids(self, config: Config) -> Iterator[str | None]:
        """What to ask each list for: every company's documents, or all where one has no id."""
        ids = dict.fromkeys(company.platform_id for company in self._companies(config))
        yield from [None] if None in ids else ids


def _resources(settings: Billtobox) -> Iterator[Resource]:
    invoice, statement = settings.invoice_accept, settings.statement_accept
    for resource in (
        Resource("purchase", settings.purchases_path, Kind.PURCHASE, invoice, "purchase invoices"),
        Resource("sales", settings.sales_path, Kind.SALES, invoice, "sales invoices"),
        Resource(
            "statement", settings.statements_path, Kind.STATEMENT, statement, "bank statements"
        ),
        Resource("document", settings.documents_path, None, "*/*", "documents"),
    ):
        if resource.path:
            yield resource


def _mailbox(item: Item, companies: Sequence[Company]) -> Company | None:
    """The company whose mailbox an item lies in, where its platform_id or its being alone tells."""
    for company in companies:
        if company.platform_id is not None and company.platform_id == str(item.platform_id):
            return company
    return companies[0] if len(companies) == 1 and companies[0].platform_id is None else None


async def _chunks(response: aiohttp.ClientResponse, subject: str) -> AsyncIterator[bytes]:
    with speaking(subject):
        async for chunk in response.content.iter_chunked(CHUNK):
            yield chunk
