"""Accountant feed: what the clients of an accountant have exported, in one list for all of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Sequence
from urllib.parse import quote

import anyio
import structlog
from msgspec import Struct

from pipeline.errors import SourceError
from pipeline.source import Entry
from pipeline.text import first_few, quoted
from pipeline.traits import Traits
from stages.model import Listed
from stages.settings import Config, Member
from stages.sources.billit.api import FeedItem, feed_items, feed_names
from stages.sources.billit.doors import Api, Door, NotThere
from stages.sources.billit.parties import Owners, Place
from stages.sources.billit.settings import FEEDS
from stages.sources.http.left_out import LeftOut

log = structlog.get_logger(__name__)

#: Where feeds are registered, below the base address.
PATH = "accountant/feeds"
#: Entries that are yielded at once.
ENTRIES_AT_ONCE = 500


class Shown(Struct, frozen=True):
    """What the feed has shown. since: when it was asked for, by time.monotonic()."""

    since: float
    items: dict[str, FeedItem]
    unreadable: Sequence[str]


class FeedDoor(Door):
    """One feed, which is read once in `list_pause` seconds at most.

    Who asks earlier gets what was read last, without what has been confirmed since.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pause = float(api.settings.list_pause)
        self.traits = Traits(pause=self._pause)
        self._latest: Shown | None = None
        self._asking = anyio.Lock()
        self._is_registered = False
        self._told: frozenset[str] = frozenset()

    async def pages(
        self,
        config: Config,
        members: Sequence[Member],
        left_out: LeftOut,
        only: Collection[str] | None = None,  # noqa: ARG002 - one feed is of all
    ) -> AsyncGenerator[Sequence[Entry], None]:
        """Read the feed."""
        async with self._asking:
            if self._latest is None or self._may_ask(self._latest):
                self._latest = await self._ask()
            latest = self._latest
        owners = Owners(members)
        left_out.add(f"feed {self._api.settings.feed}", latest.unreadable)
        foreign: Counter[str] = Counter()
        entries = []
        for item in latest.items.values():
            entry = self._entry(item, owners, config)
            if entry is None:
                foreign[item.party] += 1
            else:
                entries.append(entry)
        self._tell_of_others(foreign)
        self.shown = len(entries)
        for start in range(0, len(entries), ENTRIES_AT_ONCE):
            yield entries[start : start + ENTRIES_AT_ONCE]

    async def shown_since(self, place: Place, since: float) -> Collection[str] | None:  # noqa: ARG002 - one list
        """Ask for the feed, if it may be asked for."""
        async with self._asking:
            if self._latest is None or self._latest.since <= since:
                if self._latest is not None and not self._may_ask(self._latest):
                    return None
                self._latest = await self._ask()
            return self._latest.items.keys()

    def shows_all(self, place: Place) -> bool:  # noqa: ARG002 - one list
        """It always does."""
        return self._latest is not None

    def confirmed(self, place: Place) -> None:
        """Leave it out of what was read."""
        if self._latest is not None:
            self._latest.items.pop(place.item, None)

    async def check(self, members: Sequence[Member]) -> str:  # noqa: ARG002 - one list
        """See whether the feed is registered; it is not read, which can be done once a minute."""
        feed = self._api.settings.feed
        if feed in await self._names():
            return f'the feed "{feed}" is registered'
        if self._api.settings.register_feed:
            return f'the feed "{feed}" will be registered; only what is exported then is in it'
        raise self._not_registered()

    def _may_ask(self, latest: Shown) -> bool:
        return time.monotonic() - latest.since >= self._pause

    async def _ask(self) -> Shown:
        """Read the feed, which has to be registered."""
        if not self._is_registered:
            await self._register()
        began = time.monotonic()
        feed = self._api.settings.feed
        path = f"{PATH}/{quote(feed, safe='')}"
        try:
            items = await self._api.ask(path, f"feed {feed}", "", feed_items, pause=self._pause)
        except NotThere:
            self._is_registered = False
            raise self._not_registered() from None
        return Shown(
            began,
            {one.id: one for one in items if isinstance(one, FeedItem)},
            [one for one in items if isinstance(one, str)],
        )

    async def _register(self) -> None:
        settings = self._api.settings
        if settings.feed not in await self._names():
            if not settings.register_feed:
                raise self._not_registered()
            await self._api.post(PATH, f"feed {settings.feed}", {"Name": settings.feed})
            log.warning(
                "the feed is registered; only what is exported from now on appears in it",
                source=self._api.name,
                feed=settings.feed,
            )
        self._is_registered = True

    async def _names(self) -> Sequence[str]:
        return await self._api.ask(PATH, "list of feeds", "", feed_names)

    def _not_registered(self) -> SourceError:
        return SourceError(
            f"source {self._api.name}",
            f'there is no feed "{self._api.settings.feed}" at Billit',
            "Check feed in [[sources]], or set register_feed = true; only what the companies export"
            " from then on appears in it",
        )

    def _entry(self, item: FeedItem, owners: Owners, config: Config) -> Entry | None:
        """The entry of an item; None if it is of no configured company."""
        company = owners.of_party(item.party)
        if company is None and owners.strict:
            return None
        what = f"{item.type or 'item'} {item.id}".lower()
        return Entry(
            id=Place(FEEDS, item.party, item.id).id,
            revision="",
            label=quoted(f"feed {what}" + (f" of party {item.party}" if item.party else "")),
            meta=Listed(
                config=config,
                id=item.id,
                company=company.identifier if company is not None else None,
                unwraps_envelope=self._api.settings.envelope == "unwrap",
            ),
            forms=(),
        )

    def _tell_of_others(self, foreign: Counter[str]) -> None:
        names = frozenset(foreign)
        if names - self._told:
            log.warning(
                "the feed holds documents of companies that are not configured",
                source=self._api.name,
                documents=foreign.total(),
                parties=list(first_few(sorted(quoted(one) for one in names))),
                remedy="Add them to [[companies]] with their platform_id; they are left there",
            )
        self._told = names
