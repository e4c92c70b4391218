"""Inbox source: lists what is not confirmed, fetches it, and confirms what is safe with us."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Collection, MutableSequence, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from urllib.parse import quote, unquote

import anyio
import structlog
from msgspec import Struct

from pipeline.errors import Rejected, RetryableError, SignInRefused, SourceError, SynqupError
from pipeline.source import Entry, FoundCompany, Incoming, Outcome, Source
from pipeline.text import first_few, quoted
from pipeline.traits import Traits
from stages.model import Listed
from stages.settings import Company, Config, members
from stages.sources.http.client import HttpClient
from stages.sources.http.inbox.account import ApiAccount
from stages.sources.http.inbox.api import InboxApi
from stages.sources.http.inbox.item import Item
from stages.sources.http.inbox.owners import Owners
from stages.sources.http.inbox.walk import Walk
from stages.sources.http.keyed import Failure
from stages.sources.http.known_companies import compared
from stages.sources.http.left_out import LeftOut
from stages.sources.http.settings import HttpSettings

log = structlog.get_logger(__name__)

#: Entries that are yielded at once.
ENTRIES_AT_ONCE = 500
#: Seconds between two looks at whether a key has been replaced.
CHECK_INTERVAL = 2.0


class Lane(Struct, frozen=True):
    """A list: of an account, and of the company whose account it is; None if it is of many."""

    account: ApiAccount
    company: Company | None = None


class InboxSource(Source):
    """A platform whose lists show what is not confirmed. All documents can be fetched by their ids.

    accounts: by which it is asked.
    """

    traits = Traits()

    def __init__(self, settings: HttpSettings, api: InboxApi, http: HttpClient) -> None:
        self.name = settings.name
        self.settings = settings
        self.retries = settings.retries
        self.accounts: Sequence[ApiAccount] = ()
        self._api = api
        self._http = http
        self._shown: int | None = None
        self._told: frozenset[str] = frozenset()
        self._has_compared = False
        self._indexed: tuple[Config, Owners] | None = None
        self._walk: Walk[Lane] = Walk(self._company_of, lambda lane: lane.account.subject)

    @abstractmethod
    def lanes(self, config: Config) -> Sequence[Lane]:
        """The lists to read under a configuration."""

    @abstractmethod
    def failure_of(self, failures: Sequence[Failure]) -> Failure:
        """The one error that tells of all lists that could not be read."""

    def complaints(self, config: Config) -> Sequence[Failure]:  # noqa: ARG002 - some use it
        """What is wrong with the configuration, which keeps documents from coming."""
        return ()

    async def signed_in_anew(self) -> None:
        """Return when one of the keys has been replaced."""
        while True:
            await anyio.sleep(CHECK_INTERVAL)
            for account in self.accounts:
                with suppress(SynqupError):
                    if await account.has_changed():
                        return

    async def list(self, config: Config) -> AsyncGenerator[Sequence[Entry], None]:
        """Read each list; one that can't be read does not keep the others from being read."""
        owners = self._owners(config)
        await self._compare_once(config)
        left_out = LeftOut()
        failures: list[Failure] = []
        foreign: Counter[str] = Counter()
        shown = 0
        lists = [(one, self._api.pages(one.account)) for one in self.lanes(config)]
        try:
            async with aclosing(self._walk.pages(lists, failures)) as pages:
                async for lane, page in pages:
                    left_out.add(
                        f"list of {lane.account.id}" if lane.account.id else "list", page.items
                    )
                    items = [item for item in page.items if isinstance(item, Item)]
                    found = [
                        self._entry(item, lane, company, config)
                        for item, company in _of_configured(items, owners, lane.company, foreign)
                    ]
                    shown += len(found)
                    for start in range(0, len(found), ENTRIES_AT_ONCE):
                        yield found[start : start + ENTRIES_AT_ONCE]
        finally:
            self.unreadable = left_out.lists()
        self._shown = shown
        self._tell_of_others(foreign)
        failures += self.complaints(config)
        if failures:
            raise self.failure_of(failures)

    def backlog(self) -> int | None:
        """How many the latest walk has shown."""
        return self._shown

    @asynccontextmanager
    async def fetch(self, entry: Entry, form: str = "") -> AsyncIterator[Incoming]:
        """Fetch a document by its id, or its PDF."""
        if form and form not in {one.name for one in self._api.forms}:
            raise Rejected(entry.label, f"the platform does not have it as {form}")
        account, id_ = self._locate(entry.id, entry.label)
        try:
            async with self._api.fetch(account, id_, entry, form) as incoming:
                yield incoming
        except SignInRefused as error:
            raise self._of_one(error, entry.label) from None

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        """Confirm what is safe with us, delivered or not; what could not be fetched stays there."""
        safe = [one.id for one in outcomes if one.accepted or one.kept]
        for id_ in safe:
            subject = f"source {self.name}, confirmation of {quoted(id_)}"
            account, own = self._locate(id_, subject)
            try:
                await self._api.confirm(account, own, subject)
            except SignInRefused as error:
                raise self._of_one(error, subject) from None
        return safe

    async def companies(self) -> Sequence[FoundCompany] | None:
        """The companies that the accounts give access to; None where that can't be asked."""
        found = [await self._api.companies(one) for one in self.accounts]
        if any(one is None for one in found):
            return None
        return [company for one in found for company in one or ()]

    async def check(self, config: Config) -> str:
        """Read the first page of each list, and compare the companies with the configuration."""
        failures: list[Failure] = []
        total, is_all, taken = 0, True, 0
        lanes = self.lanes(config)
        for lane in lanes:
            try:
                async with aclosing(self._api.pages(lane.account)) as pages:
                    async for page in pages:
                        total += len(page.items) if page.total is None else page.total
                        is_all = is_all and page.total is not None
                        break
                taken += 1
            except (SourceError, RetryableError) as error:
                failures.append(error)
        found = f"signed in; {await self.compared(config, failures)}to be fetched: {total:,}"
        found += f"{'' if is_all else ' or more'} documents{self._api.remark(total)}"
        failures += self.complaints(config)
        if not failures:
            return found
        failure = self.failure_of(failures)
        if not taken:
            raise failure
        raise type(failure)(failure.subject, f"{failure.reason} ({found})", failure.remedy)

    async def close(self) -> None:
        """End what is late, and close the connections."""
        await self._walk.close()
        await self._http.close()

    def _company_of(self, lane: Lane) -> str:
        """Whose a list is, if there are others."""
        return lane.company.identifier if lane.company and len(self.accounts) > 1 else ""

    async def _compare_once(self, config: Config) -> None:
        """Log which companies an account of many knows, and which it does not."""
        if self._has_compared or len(self.accounts) != 1:
            return
        self._has_compared = True
        failures: MutableSequence[Failure] = []
        found = await self.compared(config, failures)
        for one in failures:
            if isinstance(one, SignInRefused):
                raise one
            log.warning("companies can't be compared, or are missing", reason=str(one))
        if found:
            log.info("companies compared", source=self.name, found=found.rstrip("; "))

    async def compared(self, config: Config, failures: MutableSequence[Failure]) -> str:
        """What the platform knows and we don't, as the beginning of a sentence, and the reverse."""
        try:
            companies = await self.companies()
        except (SourceError, RetryableError) as error:
            failures.append(error)
            return ""
        if companies is None:
            return ""
        known = compared(companies, members(config, self.name))
        if known.missing:
            failures.append(
                SourceError(
                    f"source {self.name}",
                    f"{self._api.platform} does not know {known.missing_names} by this account,"
                    " and nothing comes of what is not known there",
                    "Correct [[companies]], or have the company added to the account again",
                )
            )
        return f"{known}; "

    def _owners(self, config: Config) -> Owners:
        """The owners under a configuration; the latest ones are remembered."""
        if self._indexed is None or self._indexed[0] is not config:
            owners = Owners(members(config, self.name), others=self._api.others)
            self._indexed = (config, owners)
        return self._indexed[1]

    def _entry(self, item: Item, lane: Lane, company: Company | None, config: Config) -> Entry:
        sender = f" of {item.sender}" if item.sender else ""
        prefix = f"{quote(lane.account.id, safe='')}/" if lane.account.id else ""
        return Entry(
            id=f"{prefix}{item.id}",
            revision="",
            label=quoted(f"{item.name} {item.id}{sender}"),
            meta=Listed(
                config=config,
                id=item.id,
                kind=item.kind,
                company=company.identifier if company is not None else None,
                unwraps_envelope=True,
            ),
            forms=self._api.forms if item.kind is not None else (),
        )

    def _locate(self, id_: str, subject: str) -> tuple[ApiAccount, str]:
        """The account of an entry, and what the platform calls its document."""
        prefix, slash, rest = id_.partition("/")
        for account in self.accounts:
            if not account.id:
                return account, id_
            if slash and account.id == unquote(prefix):
                return account, rest
        raise SourceError(
            subject,
            f"there is no key of its company ({quoted(unquote(prefix))}) any more",
            "Write it under [[sources.keys]] again until the document is there",
        )

    def _of_one(self, error: SignInRefused, subject: str) -> SourceError:
        """What is said of one document where a key is refused: of many, it is that of one alone."""
        if len(self.accounts) == 1:
            return error
        return SourceError(subject, f"{error.subject}: {error.reason}", error.remedy)

    def _tell_of_others(self, foreign: Counter[str]) -> None:
        """Tell once of documents that are for companies which are not configured."""
        names = frozenset(foreign)
        if names - self._told:
            log.warning(
                "there are documents for companies that are not configured",
                source=self.name,
                companies=list(first_few(sorted(names))),
                remedy="Add them to [[companies]], or their numbers to identifiers of one;"
                " they are left there",
            )
        self._told = names if self.only is None else self._told | names


def _of_configured(
    items: Sequence[Item], owners: Owners, own: Company | None, foreign: Counter[str]
) -> list[tuple[Item, Company | None]]:
    """The items that may be of a configured company, with it; the others are counted.

    own: whose account they are in.
    """
    found = []
    for item in items:
        is_ours, company = owners.of(item, own)
        if is_ours:
            found.append((item, company))
        else:
            foreign[quoted(next(iter((*item.receivers, item.company)), ""))] += 1
    return found
