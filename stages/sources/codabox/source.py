"""CodaBox connector: lists, fetches and acknowledges documents by the delivery API v2."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import structlog

from pipeline.errors import Rejected, SourceError, SynqupError
from pipeline.files import os_reason
from pipeline.source import Entry, FoundCompany, Incoming, Outcome, Source, UnreadableItems
from pipeline.text import FEW, enumerated, quoted
from pipeline.traits import Acknowledging, Traits
from pipeline.turns import Turns
from stages.settings import Config, members
from stages.sources.codabox.api import Feed, PodClient
from stages.sources.codabox.client import OFFSET_REFUSED, ApiClient, NotAFeed, TooEarly
from stages.sources.codabox.clients import (
    OwnedFeed,
    found_companies,
    is_of,
    owned,
    signs_of,
    signs_of_feed,
)
from stages.sources.codabox.entries import entry_id, entry_of, formats_listed, split_id
from stages.sources.codabox.memory import Change, FeedMemory, FeedState
from stages.sources.codabox.settings import CodaBox
from stages.sources.codabox.walk import FeedWalk
from stages.sources.http.headers import announced
from stages.sources.http.known_companies import compared
from stages.sources.http.token_store import token_path

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: Statuses of a document that is not to be had in a format.
FORM_UNAVAILABLE = (400, 404, 406, 410, 415)
#: Seconds between two walks while a feed may be asked for, or something of it waits: no walk asks
#: too early.
SOON = 1.0
#: The least delay that is kept to, so that a poll makes one walk.
LEAST_DELAY = 1.0


class DownloadRequest(AbstractAsyncContextManager[Incoming]):
    """A request for a document in the first of some formats that the platform has."""

    def __init__(self, source: CodaBoxSource, entry: Entry, formats: Sequence[str]) -> None:
        self._source = source
        self._entry = entry
        self._formats = formats
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Incoming:
        label, api = self._entry.label, self._source.api
        _, index = split_id(self._entry.id)
        for format_ in self._formats:
            request = api.document(index, format_, label, FORM_UNAVAILABLE)
            response = await self._stack.enter_async_context(request)
            if response.status not in FORM_UNAVAILABLE:
                return Incoming(announced(response), api.http.body(response, label))
            await self._stack.aclose()
        await self._source.note_missing(self._entry)
        tried = enumerated(self._formats)
        raise Rejected(label, f"the platform does not have it as {tried}", "Look for it at CodaBox")

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


class CodaBoxSource(Source):
    """One account at CodaBox: the feeds of the firm's clients, each a lane with its offset."""

    def __init__(self, settings: CodaBox, state_dir: Path, turns: Turns | None = None) -> None:
        self.name = settings.name
        self.settings = settings
        self.retries = settings.retries
        self.api = ApiClient(settings, state_dir)
        self._subject = f"source {self.name}"
        self._state_dir = state_dir
        folder = state_dir / "feeds" / token_path(state_dir, self.name).name
        self._memory = FeedMemory(folder / settings.feed, shared=turns is not None)
        self._pod: PodClient | None = None
        #: What is known of each feed of the latest walk.
        self._feeds: dict[str, FeedState] = {}
        #: Ids whose offset was refused, until their feed is listed again.
        self._refused: set[str] = set()
        self._learn(None)

    async def list(self, config: Config) -> AsyncGenerator[Sequence[Entry], None]:
        """Read the feeds of the configured companies, each once in `fetch_delay`.

        What a feed listed before, and is not acknowledged, is yielded without a request.
        """
        self.unreadable = ()
        walk = FeedWalk(self._subject)
        later: list[OwnedFeed] = []
        try:
            for feed in await self._owned(config):
                remaining = self._feeds[feed.client.id].remaining(time.time())
                if not remaining and walk.may_ask:
                    with walk.reading():
                        await self._ask(feed)
                elif 0 < remaining <= self.settings.longest_asked_wait:
                    later.append(feed)
                elif remaining and (problem := self._problem(feed)):
                    walk.fail(feed.label, problem, remaining)
                if entries := self._entries(feed, config):
                    walk.brought = True
                    yield entries
            self._tell_rest(walk.asked or bool(later))
            for feed in later:
                if walk.may_ask:
                    await anyio.sleep(self._feeds[feed.client.id].remaining(time.time()))
                    with walk.reading():
                        await self._ask(feed)
                    yield self._entries(feed, config)
        finally:
            self._learn(self._pod)
        walk.end()

    def backlog(self) -> int | None:
        """What the feeds hold that have been read."""
        return sum(len(state.all) for state in self._feeds.values()) if self._feeds else None

    def fetch(self, entry: Entry, form: str = "") -> AbstractAsyncContextManager[Incoming]:
        """GET a document, by the name of its format."""
        formats = formats_listed(entry.meta, self.settings)
        if form and entry.forms is not None and form not in [one.name for one in entry.forms]:
            raise Rejected(entry.label, f"the platform has no {form} of such documents")
        return DownloadRequest(self, entry, (form,) if form else formats)

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        """PUT the offset. One that is refused is taken once the feed does not show it any more."""
        (outcome,) = outcomes
        feed, index = split_id(outcome.id)
        if self._memory.is_shared:
            self._feeds[feed] = await self._in_thread(self._memory.feed, feed)
            if self._feeds[feed].has_left(index):
                return [outcome.id]
        state = self._feeds.get(feed, FeedState())
        beyond = any(entry.index == index and entry.after_hole for entry in state.entries)
        if outcome.id in self._refused or beyond or not outcome.kept:
            return []
        if not state.is_gone(index):
            async with self.api.offset(feed, index) as answer:
                if answer.status in OFFSET_REFUSED:
                    self._refused.add(outcome.id)
                    log.warning(
                        "the platform does not take this offset; its next list shows whether it"
                        " knows it already",
                        source=self.name,
                        feed=quoted(feed),
                        document=quoted(index),
                        status=answer.status,
                    )
                    return []
        await self._keep(feed, lambda known: known.acknowledged(index))
        self._learn(self._pod)
        return [outcome.id]

    async def note_missing(self, entry: Entry) -> None:
        """Note that a document can't be had; one that has left its feed is not listed again."""
        feed, index = split_id(entry.id)
        if feed in self._feeds and self._feeds[feed].is_gone(index):
            await self._keep(feed, lambda known: known.without(index))

    async def companies(self) -> Sequence[FoundCompany]:
        """The feed clients, with the enterprise numbers of the firm's list of clients."""
        pod = await self.api.pod()
        return found_companies(pod.feeds, await self.api.clients())

    async def signed_in_anew(self) -> None:
        """Return when there are other credentials than those that were refused."""
        await self.api.signed_in_anew()

    def shows(self, id: str, company: str) -> bool:  # noqa: A002, ARG002 - as in the contract
        """What a feed has listed is shown until its list was read again without it."""
        return split_id(id)[0] in self._feeds

    async def check(self, config: Config) -> str:
        """Sign in and compare the companies; no feed is asked for, as that counts as a fetch.

        NotSignedIn if nobody is.
        """
        if self.settings.by_person:
            await anyio.to_thread.run_sync(self.settings.credentials(self._state_dir).read)
        pod = await self.api.pod()
        found = found_companies(pod.feeds, await self.api.clients())
        feeds = dict(zip(map(id, found), pod.feeds, strict=True))
        known = compared(
            found, members(config, self.name), lambda one: signs_of_feed(feeds[id(one)]), signs_of
        )
        return (
            f"signed in; {known}; its feeds may be asked for every {self._delay(pod):,.0f} s, and"
            " this check has not asked for them"
        )

    async def close(self) -> None:
        """Close the connections."""
        await self.api.close()

    async def _owned(self, config: Config) -> Sequence[OwnedFeed]:
        """The feeds to read. The platform is asked for them if any feed may be asked for."""
        at_source = members(config, self.name)
        pod = await self._in_thread(self._memory.pod)
        feeds = owned(pod.feeds, at_source) if pod is not None else []
        if pod is not None:
            await self._recall(feeds)
            self._learn(pod)
        now, wait = time.time(), self.settings.longest_asked_wait
        if not feeds or any(state.remaining(now) <= wait for state in self._feeds.values()):
            pod = await self.api.pod()
            await self._in_thread(self._memory.keep_pod, pod)
            feeds = owned(pod.feeds, at_source)
            await self._recall(feeds)
            self._learn(pod)
        assert pod is not None
        lost = [
            member.company.name
            for member in at_source
            if not any(is_of(client, member) for client in pod.feeds)
        ]
        if lost:
            log.warning(
                "CodaBox has no feed for companies that are configured",
                source=self.name,
                companies=enumerated(lost),
                remedy="Compare accounting_file_id, or platform_id, with the client codes there:"
                " `synqup check` shows them",
            )
        return feeds

    def _problem(self, feed: OwnedFeed) -> str:
        """Why a feed was not read; "" where another node may be about to read it."""
        known = self._feeds[feed.client.id]
        is_in_hand = self._memory.is_shared and known.may_be_answered(time.time())
        return "" if is_in_hand else known.problem

    def _tell_rest(self, asked: bool) -> None:
        if self._feeds and not asked:
            now = time.time()
            soonest = min(state.remaining(now) for state in self._feeds.values())
            log.info(
                "no feed is asked for yet: CodaBox wants a pause between two lists",
                source=self.name,
                seconds=round(soonest),
            )

    async def _recall(self, feeds: Sequence[OwnedFeed]) -> None:
        def read() -> dict[str, FeedState]:
            return {one.client.id: self._memory.feed(one.client.id) for one in feeds}

        self._feeds = await self._in_thread(read)

    async def _ask(self, feed: OwnedFeed) -> None:
        """Read a feed. That it is asked for is kept first: a crash must not have it asked twice."""
        id_, label = feed.client.id, feed.label
        before, delay = self._feeds[id_], self._delay(self._pod)
        asking = before.asked(delay)

        def ask(known: FeedState) -> FeedState:
            is_taken = known.asked_at != before.asked_at and known.remaining(asking.asked_at)
            return known if is_taken else known.asked_like(asking)

        def unless_asked_anew(change: Change) -> Change:
            # A node that was held up must not replace what another one has heard since.
            return lambda known: change(known) if known.asked_at == asking.asked_at else known

        await self._keep(id_, ask)
        if self._feeds[id_].asked_at != asking.asked_at:
            return  # another node has just asked, and keeps what it hears
        try:
            found = await self.api.feed(id_, label)
        except TooEarly as error:
            rested = before.asked(max(error.retry_after or 0.0, delay), error.reason)
            await self._keep(id_, unless_asked_anew(lambda known: known.asked_like(rested)))
            raise
        except NotAFeed as error:
            unread = before.asked(delay, error.reason)
            await self._keep(id_, unless_asked_anew(lambda known: known.asked_like(unread)))
            raise
        except SynqupError:
            # It was not listed, as far as anybody can tell: the next walk may ask again.
            await self._keep(id_, unless_asked_anew(lambda known: known.asked_like(before)))
            raise
        self._refused -= {entry_id(self.settings, id_, entry.index) for entry in before.all}
        await self._keep(id_, unless_asked_anew(lambda known: known.listing(found.entries)))
        self._note_holes(feed, found)

    def _note_holes(self, feed: OwnedFeed, found: Feed) -> None:
        if found.holes:
            reasons = list(dict.fromkeys(found.holes))[:FEW]
            where = f"feed of {feed.label}"
            self.unreadable = [
                *self.unreadable,
                UnreadableItems(where, len(found.holes), reasons),
            ]

    def _entries(self, feed: OwnedFeed, config: Config) -> Sequence[Entry]:
        assert self._pod is not None
        waiting = self._feeds[feed.client.id].all
        return [entry_of(one, feed, self._pod, config, self.settings) for one in waiting]

    def _delay(self, pod: PodClient | None) -> float:
        stated = pod.fetch_delay if pod is not None else None
        return float(self.settings.fetch_delay) if stated is None else max(stated, LEAST_DELAY)

    def _learn(self, pod: PodClient | None) -> None:
        """Take over what the platform says of the account, and how soon a walk is of use."""
        self._pod = pod
        self.api.delay = delay = self._delay(pod)
        now = time.time()
        rests = bool(self._feeds) and all(
            state.remaining(now) and not state.all for state in self._feeds.values()
        )
        self.traits = Traits(
            acknowledges=Acknowledging.OFFSET, pause=delay if rests else min(SOON, delay)
        )

    async def _keep(self, feed: str, change: Change) -> None:
        """Change what is known of a feed, and keep that."""
        state = self._feeds[feed] = change(self._feeds.get(feed, FeedState()))
        self._feeds[feed] = await self._in_thread(self._memory.change_feed, feed, state, change)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Work with the memory. SourceError if its folder can't be used."""
        try:
            return await anyio.to_thread.run_sync(partial(work, *arguments))
        except OSError as error:
            raise SourceError(
                self._subject,
                f"what its feeds list can't be kept in the state folder ({os_reason(error)})",
                "Make room, or let the account that runs synqup write there",
            ) from None
