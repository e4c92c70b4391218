"""Connector of e-invoice.be: lists and fetches documents; the platform takes no acknowledgement."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path

import anyio
from msgspec import Struct
from yarl import URL

from pipeline.errors import RetryableError, SourceError, SourceUnreachable
from pipeline.push.inbox import PushInbox
from pipeline.source import Entry, FoundCompany, Incoming, Outcome, Source
from pipeline.text import quoted
from pipeline.traits import Acknowledging, Traits
from stages.settings import Company, Config, Member, members
from stages.sources.einvoice_be.answers import read_me
from stages.sources.einvoice_be.api import Me
from stages.sources.einvoice_be.documents import Box, locate
from stages.sources.einvoice_be.fetching import Fetching
from stages.sources.einvoice_be.lanes import Lane
from stages.sources.einvoice_be.listing import Answered, Listing, list_name
from stages.sources.einvoice_be.marks import read_marks, write_marks
from stages.sources.einvoice_be.push import is_signed
from stages.sources.einvoice_be.settings import EInvoiceBe
from stages.sources.http.client import HttpClient
from stages.sources.http.keyed import Failure, Matched, failure_of, match, mismatches
from stages.sources.http.known_companies import KnownCompanies, compared
from stages.sources.http.lenient_json import JSON_ERRORS
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.places import Places
from stages.sources.http.settings import is_this_machine
from stages.sources.http.signed_address import SignedAddresses
from stages.sources.http.stragglers import Stragglers
from stages.values.identifiers import company_identifier

#: Keys whose companies are asked for at once.
KEYS_AT_ONCE = 8


class Owner(Struct, frozen=True):
    """Whose a key is by the platform, or why that can't be told."""

    lane: Lane
    me: Me = Me()
    failure: Failure | None = None

    @property
    def company(self) -> FoundCompany:
        """The company, which the key tells; its name is as the platform states it."""
        return FoundCompany(self.lane.key.label, self.me.name, self.me.identifier)


class EInvoiceBeSource(Source):
    """Many companies, each with a key of its own: a lane for each."""

    traits = Traits(shrinks=False, acknowledges=Acknowledging.NONE)

    def __init__(self, settings: EInvoiceBe, state_dir: Path) -> None:  # noqa: ARG002 - as all
        self.name = settings.name
        self.settings = settings
        self.retries = settings.retries
        self._list_retries = settings.list_retries
        self._http = HttpClient.of(settings)
        self._places = Places()
        shared = self._new_limiter()
        by_key = settings.rate_limit == "key"
        self._lanes = [
            Lane(key, settings, self._http, self._new_limiter() if by_key else shared)
            for key in settings.keys
        ]
        stored = self._new_limiter()
        # A limit for each key is that of one company, whose lists one node alone reads at a time.
        self.throttles = (stored,) if by_key else (shared, stored)
        storage = SignedAddresses(
            settings.storage_hosts,
            self._http,
            stored,
            local=is_this_machine(URL(settings.url).host or ""),
        )
        self._fetching = Fetching(settings, self._http, storage)
        if settings.push_secret is not None:
            self.push = PushInbox(f"source {self.name}", settings.push_secret, is_signed)
        self._matched: tuple[Config, Matched[Lane]] | None = None
        self._late: Stragglers[str, Answered] = Stragglers()

    async def list(self, config: Config) -> AsyncGenerator[Sequence[Entry], None]:
        """Read the lists of all companies, each from a little before its high-water mark."""
        marks = read_marks(self.cursor, self.settings.url)
        matched = self._match(config).only(self.only)
        listing = Listing(self.settings, config, matched, marks, self._list_retries, self._late)
        try:
            async with aclosing(listing.entries()) as pages:
                async for page in pages:
                    yield page
        finally:
            self.unreadable = listing.unreadable
            self.cursor = write_marks(self.settings.url, listing.marks)

    def by_company(self, config: Config) -> bool:  # noqa: ARG002 - as in the contract
        """Each key is of one company."""
        return True

    def backlog(self) -> int | None:
        """It is not known: a list tells how many it holds, and keeps all that it ever held."""
        return None

    def fetch(self, entry: Entry, form: str = "") -> AbstractAsyncContextManager[Incoming]:
        """Ask where the document lies, and get it from there without the key."""
        identifier, _ = locate(entry.id)
        for company, lane in self._match(entry.meta.config).lanes:
            if company.identifier == identifier:
                return self._fetching.fetch(lane, entry, form)
        raise SourceError(
            entry.label,
            f"there is no key of its company ({identifier}) any more",
            "Write it under [[sources.keys]] again until the document is there",
        )

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        """Nothing can be told; the engine does not ask for it."""
        return [outcome.id for outcome in outcomes]

    async def companies(self) -> Sequence[FoundCompany] | None:
        """The company of each key, by /api/me/. Raises where a key is not taken."""
        owners = await self._owners()
        if failures := [one.failure for one in owners if one.failure is not None]:
            raise failure_of(failures, len(owners), self.name)
        return [one.company for one in owners]

    def shows(self, id: str, company: str) -> bool:  # noqa: A002, ARG002 - as in the contract
        """Each company has lists of its own, of which the id tells; both may be switched off."""
        lists = self._matched[1].lanes if self._matched is not None else ()
        boxes = [box for box in Box if getattr(self.settings, box.value)]
        return any(id.startswith(f"{list_name(one, box)}/") for one, _ in lists for box in boxes)

    async def check(self, config: Config) -> str:
        """Ask whose each key is, and compare that with the configuration."""
        matched = self._match(config)
        owners = await self._owners()
        failures = [one.failure for one in owners if one.failure is not None]
        failures += mismatches(self.name, matched)
        by_lane = {one.lane: one for one in owners}
        failures += [
            _of_another(self.name, company, lane, by_lane[lane].me)
            for company, lane in matched.lanes
            if _is_of_another(company, by_lane[lane].me)
        ]
        known = [one for one in owners if one.failure is None]
        found = _count(len(known), "key is", "keys are") + f" taken; {_known(known, matched)}"
        if failures:
            error = failure_of(failures, len(owners), self.name)
            if not known:
                raise error
            raise type(error)(error.subject, f"{error.reason} ({found})", error.remedy)
        return f"signed in; {found}"

    async def close(self) -> None:
        """End what is late, and close the connections."""
        await self._late.close()
        await self._http.close()

    def _new_limiter(self) -> ConcurrencyLimiter:
        return ConcurrencyLimiter(self.settings.connections, self.retries, self._places)

    def _match(self, config: Config) -> Matched[Lane]:
        """The companies of the keys under a configuration; the latest one is remembered."""
        if self._matched is None or self._matched[0] is not config:
            self._matched = (config, match(self._lanes, members(config, self.name)))
        return self._matched[1]

    async def _owners(self) -> Sequence[Owner]:
        """Whose the keys are. SourceUnreachable if the platform can't be reached at all."""
        owners = [Owner(lane) for lane in self._lanes]
        limiter = anyio.CapacityLimiter(KEYS_AT_ONCE)

        async def ask(place: int, lane: Lane) -> None:
            async with limiter:
                try:
                    body = await lane.get("/api/me/", lane.subject)
                    owners[place] = Owner(lane, read_me(body))
                except JSON_ERRORS:
                    reason = "the answer does not say whose the key is"
                    failure = SourceError(lane.subject, reason, "Check url of the source")
                    owners[place] = Owner(lane, failure=failure)
                except (SourceError, RetryableError) as error:
                    owners[place] = Owner(lane, failure=error)

        async with anyio.create_task_group() as group:
            for place, lane in enumerate(self._lanes):
                group.start_soon(ask, place, lane)
        for one in owners:
            if isinstance(one.failure, SourceUnreachable):
                raise one.failure
        return owners


def _known(owners: Sequence[Owner], matched: Matched[Lane]) -> KnownCompanies:
    """The companies of some keys, compared by their keys; which has none, check() says itself."""
    asked = {id(one.lane) for one in owners}
    members = [
        Member(company, lane.key.label)
        for company, lane in (*matched.lanes, *matched.doubled)
        if id(lane) in asked
    ]
    return compared(
        [one.company for one in owners],
        members,
        lambda one: {("key", one.id)},
        lambda one: {("key", one.platform_id or "")},
    )


def _is_of_another(company: Company, me: Me) -> bool:
    """Whether the platform states numbers for a key, and none of them is the company's."""
    stated = set()
    for text in (me.company_number, me.company_tax_id, *me.peppol_ids):
        try:
            stated.add(company_identifier(text.rpartition(":")[2]))
        except ValueError:
            continue
    return bool(stated) and stated.isdisjoint({company.identifier, *company.identifiers})


def _of_another(source: str, company: Company, lane: Lane, me: Me) -> SourceError:
    whose = quoted(f"{me.name} ({me.identifier})")
    return SourceError(
        f"source {source}, {lane.key.label}",
        f"its key is that of {whose} at the platform, and not of {company.name}"
        f" ({company.identifier})",
        "Put each company's own key in its place",
    )


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"
