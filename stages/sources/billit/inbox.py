"""Peppol inbox: the ten oldest documents of a company, or of an account, answers among them."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Collection, Sequence

import anyio
import structlog
from msgspec import Struct

from pipeline.errors import RetryableError, SourceError
from pipeline.source import Entry
from pipeline.text import first_few, quoted
from pipeline.traits import Traits
from stages.model import Listed
from stages.settings import Config, Member
from stages.sources.billit.api import InboxItem, inbox_items
from stages.sources.billit.doors import Api, Door
from stages.sources.billit.parties import Owners, Place, Scope, scopes
from stages.sources.billit.settings import INBOX
from stages.sources.http.keyed import Failure, failure_of
from stages.sources.http.left_out import LeftOut

log = structlog.get_logger(__name__)

#: Documents that are shown at once.
WINDOW = 10
#: Inboxes that are asked for at once.
AT_ONCE = 8


class Shown(Struct, frozen=True):
    """What an inbox has shown. since: when it was asked for, by time.monotonic()."""

    since: float
    items: Sequence[InboxItem | str]

    @property
    def ids(self) -> set[str]:
        """The numbers of the items."""
        return {one.id for one in self.items if isinstance(one, InboxItem)}


class InboxDoor(Door):
    """The inboxes of the configured companies."""

    traits = Traits(window=WINDOW)

    def __init__(self, api: Api) -> None:
        self._api = api
        self._latest: dict[Scope, Shown] = {}
        self._asking = anyio.Lock()
        self._told: frozenset[str] = frozenset()

    async def pages(
        self,
        config: Config,
        members: Sequence[Member],
        left_out: LeftOut,
        only: Collection[str] | None = None,
    ) -> AsyncGenerator[Sequence[Entry], None]:
        """Read each inbox; one that can't be read does not keep the others from being read."""
        owners = Owners(members)
        if only is not None:
            members = [one for one in members if one.company.identifier in only]
        wanted = scopes(self._api.settings, members)
        failures: list[Failure] = []
        foreign: dict[Scope, list[str]] = {}
        seen: set[str] = set()
        shown = 0
        for start in range(0, len(wanted), AT_ONCE):
            found: dict[Scope, Sequence[InboxItem | str] | Failure] = {}
            async with anyio.create_task_group() as group:
                for scope in wanted[start : start + AT_ONCE]:
                    group.start_soon(self._try, scope, found)
            for scope in wanted[start : start + AT_ONCE]:
                items = found[scope]
                if isinstance(items, Failure):
                    failures.append(items)
                    continue
                left_out.add(f"inbox {scope}".strip(), items)
                page = []
                for item in items:
                    if isinstance(item, str) or item.id in seen:
                        continue
                    seen.add(item.id)
                    entry = self._entry(item, scope, owners, config)
                    if entry is not None:
                        page.append(entry)
                    else:
                        foreign.setdefault(scope, []).append(quoted(item.receivers[0]))
                shown += len(page)
                yield page
        self.shown = shown
        failures += self._of_others(foreign, is_part=only is not None)
        if failures:
            raise failure_of(failures, len(wanted), self._api.settings.name)

    async def shown_since(self, place: Place, since: float) -> Collection[str] | None:
        """Ask for the inbox again, unless that was done meanwhile."""
        async with self._asking:
            latest = self._latest.get(place.scope)
            if latest is None or latest.since <= since:
                latest = await self._ask(place.scope)
            return latest.ids

    def shows_all(self, place: Place) -> bool:
        """If there are fewer than it shows at most."""
        latest = self._latest.get(place.scope)
        return latest is not None and len(latest.items) < WINDOW

    def confirmed(self, place: Place) -> None:
        """The next list shows it."""

    async def check(self, members: Sequence[Member]) -> str:
        """Ask for each inbox."""
        count, is_full = 0, False
        for scope in scopes(self._api.settings, members):
            items = (await self._ask(scope)).items
            count, is_full = count + len(items), is_full or len(items) >= WINDOW
        return f"to be fetched: {count}{' or more' if is_full else ''} documents of the inbox"

    async def _try(
        self, scope: Scope, found: dict[Scope, Sequence[InboxItem | str] | Failure]
    ) -> None:
        try:
            found[scope] = (await self._ask(scope)).items
        except (SourceError, RetryableError) as error:
            found[scope] = error

    async def _ask(self, scope: Scope) -> Shown:
        began = time.monotonic()
        query = {"ReceiverCompanyID": scope.receiver} if scope.receiver else {}
        what = f"inbox {scope}".strip()
        items = await self._api.ask("peppol/inbox", what, scope.party, inbox_items, query)
        shown = self._latest[scope] = Shown(began, items)
        return shown

    def _entry(self, item: InboxItem, scope: Scope, owners: Owners, config: Config) -> Entry | None:
        """The entry of an item; None if it is for a company that is not configured."""
        is_ours, company = owners.of_item(item, scope)
        if not is_ours:
            return None
        # Not by the list that shows it: two may show the same.
        receiver = company.identifier if scope.receiver and company is not None else ""
        place = Place(INBOX, owners.party(company, scope), item.id, receiver, item.file)
        what = "answer" if item.is_answer else "Peppol document"
        sender = f" of {item.sender}" if item.sender else ""
        return Entry(
            id=place.id,
            revision="",
            label=quoted(f"{what} {item.id}{sender}"),
            meta=Listed(
                config=config,
                id=item.id,
                company=company.identifier if company is not None else None,
                unwraps_envelope=self._api.settings.envelope == "unwrap",
            ),
            lane=str(scope),
            forms=(),
        )

    def _of_others(self, foreign: dict[Scope, list[str]], *, is_part: bool) -> list[Failure]:
        """Tell of documents of other companies; an error where they fill an inbox."""
        names = frozenset(one for found in foreign.values() for one in found)
        if names - self._told:
            log.warning(
                "the inbox holds documents for companies that are not configured",
                source=self._api.name,
                companies=list(first_few(sorted(names))),
                remedy="Add them to [[companies]], or fetch them otherwise; they are left there",
            )
        self._told = self._told | names if is_part else names
        return [
            SourceError(
                f"source {self._api.name}, inbox {scope}".rstrip(),
                f"its {WINDOW} oldest documents are for companies that are not configured"
                f" ({', '.join(first_few(sorted(set(found))))}): newer ones can't be seen",
                "Add them to [[companies]], or set per_company = true",
            )
            for scope, found in foreign.items()
            if len(found) >= WINDOW
        ]
