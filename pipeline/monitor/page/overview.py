"""Overview: makes the first screen's model of the health, the engine, the tally and the ledger.

What the engine and the sources know is read from memory. What the ledger holds is read in threads,
and only while somebody looks: see `Refreshed`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from pipeline.alerts.conditions import STATE, Seen, conditions, look_at
from pipeline.alerts.facts import Facts, History, Needs, read_facts
from pipeline.alerts.memory import Condition, Memory, new_memory
from pipeline.alerts.rhythms import sign_in_conditions, watch_quiet, watch_sign_ins
from pipeline.engine.observer import Snapshot
from pipeline.health.model import Health
from pipeline.health.refreshed import Refreshed
from pipeline.ledger.overview import UndeliveredDocuments, read_deliveries, read_undelivered
from pipeline.monitor.page.attention import items_of
from pipeline.monitor.page.companies import company_rows, source_rows
from pipeline.monitor.page.groups import grouped
from pipeline.monitor.page.model import Flow, Group, Overview
from pipeline.monitor.page.nodes import node_rows, others_of, staged
from pipeline.monitor.page.parts import Members, Parts
from pipeline.monitor.page.shared_tally import LATE, MINUTE, SharedTally
from pipeline.monitor.page.tally import DAY, DAYS, HOUR, LOOKED_BACK, day_start

T = TypeVar("T")

#: Items that the first screen tells.
MAX_ITEMS = 30
#: Seconds for which what the ledger says of undelivered documents is good.
UNDELIVERED_AGE = 2.0
#: Seconds for which what other nodes have delivered is good.
SHARED_AGE = 2.0
#: Seconds between two readings of how often companies get documents.
HISTORIES_EVERY = 3600.0
#: Seconds between two looks at the ends of sign-ins, also while nobody asks.
SIGN_INS_EVERY = 600.0


class Overviewer:
    """Makes overviews of one service. For the event loop alone; run() reads what takes time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        #: What the rules of alerts remember; that companies are watched since ever means that one
        #: is quiet as soon as its sources have been read to their end.
        self._memory: Memory = new_memory(0.0)
        self._quiet_of: tuple[object, object] = (None, None)
        self._counted = False
        self._undelivered = self._refreshed(
            "undelivered documents", read_undelivered, UndeliveredDocuments(), UNDELIVERED_AGE
        )
        self._histories: Refreshed[tuple[History, ...] | None]
        self._histories = Refreshed("histories", self._read_histories, None, HISTORIES_EVERY)
        self._deliveries: Refreshed[bool]
        age = SHARED_AGE if isinstance(parts.tally, SharedTally) else None
        self._deliveries = Refreshed("deliveries", self._read_deliveries, False, age)
        #: The groups, and out of what they were made.
        self._groups: tuple[Group, ...] = ()
        self._groups_of: object = None
        self._folders: tuple[Members | None, Mapping[str, Sequence[Any]]] = (None, {})

    def _refreshed(
        self,
        name: str,
        read: Callable[..., UndeliveredDocuments],
        value: UndeliveredDocuments,
        age: float,
    ) -> Refreshed[UndeliveredDocuments]:
        async def in_thread() -> UndeliveredDocuments:
            return await _in_thread(read, self._parts.ledger)

        return Refreshed(name, in_thread, value, age)

    def outdate(self) -> None:
        """Have the next overview tell what somebody has just done."""
        self._undelivered.outdate()

    async def run(self) -> None:
        """Read what takes time while somebody asks, and watch the sign-ins; until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._undelivered.run)
            group.start_soon(self._histories.run)
            group.start_soon(self._deliveries.run)
            while True:
                health = await self._parts.collector.current()
                self._memory = watch_sign_ins(self._memory, self._seen(health, Members()))
                await anyio.sleep(SIGN_INS_EVERY)

    async def make(self) -> tuple[Overview, float]:
        """The overview of this moment, and the seconds of the event loop that it took."""
        parts = self._parts
        health = await parts.collector.current()
        undelivered = await self._undelivered.get()
        await self._deliveries.get()
        histories = await self._histories.get()
        members = await parts.roster.members()
        began = time.perf_counter()
        made = self._made(health, undelivered, histories, members)
        return made, time.perf_counter() - began

    def _made(
        self,
        health: Health,
        undelivered: UndeliveredDocuments,
        histories: tuple[History, ...] | None,
        members: Members,
    ) -> Overview:
        parts = self._parts
        snapshot = parts.observer.snapshot()
        found = self._conditions(health, members, histories)
        found += [
            Condition("paused", one.name, one.paused_since, f"paused by {one.paused_by}")
            for one in health.sources
            if one.paused_since is not None
        ]
        groups = self._grouped(undelivered)
        sources = source_rows(health, snapshot)
        companies = company_rows(members, parts.tally, found, groups, self._by_folder(members))
        names = {one.identifier: one.name for one in members.companies.values()}
        names[STATE] = parts.state_dir
        for folder, owners in self._by_folder(members).items():
            if len(owners) == 1:
                names[folder] = f"{owners[0].name} ({folder})"
        items = items_of(found, groups, names, _companies_of(members))
        polls = [one.last_good_poll for one in health.sources if one.last_good_poll is not None]
        return Overview(
            items=items[:MAX_ITEMS],
            more=max(len(items) - MAX_ITEMS, 0),
            companies=companies,
            sources=sources,
            flow=_flow(snapshot, parts, health),
            groups=groups,
            polled_at=max(polls, default=None),
            began=all(one.works or one.trouble is not None for one in health.sources),
            well=sum(one.level == "ok" for one in companies),
            cluster=parts.cluster,
            nodes=node_rows(health),
            staged=staged(health),
        )

    def _seen(self, health: Health, members: Members, facts: Facts = Facts()) -> Seen:  # noqa: B008 - frozen
        settings = self._parts.settings()
        return Seen(health.at, health, settings, companies=members.watched(), facts=facts)

    def _conditions(
        self, health: Health, members: Members, histories: tuple[History, ...] | None
    ) -> list[Condition]:
        """All that is wrong by the rules of alerts; quiet companies are judged anew seldom."""
        settled = tuple(
            one.name for one in health.sources if one.last_good_poll and not one.trouble
        )
        quiet_of = (histories, (id(members), settled))
        if quiet_of != self._quiet_of:
            self._quiet_of = quiet_of
            seen = self._seen(health, members, Facts(histories=histories))
            self._memory = watch_quiet(self._memory, seen)
        seen = Seen(health.at, health, self._parts.settings())
        self._memory = watch_sign_ins(self._memory, seen)
        look = look_at(seen, self._memory)
        last = {one.member: self._parts.tally.of(one.member)[0] for one in self._memory.quiet}
        quiet = [one for one in self._memory.quiet if (last[one.member] or 0) <= one.since + 1]
        return [*conditions(look), *sign_in_conditions(self._memory, seen), *quiet]

    def _grouped(self, undelivered: UndeliveredDocuments) -> tuple[Group, ...]:
        if self._groups_of is not undelivered:
            self._groups_of = undelivered
            self._groups = grouped(undelivered.documents)
        return self._groups

    def _by_folder(self, members: Members) -> Mapping[str, Sequence[Any]]:
        if self._folders[0] is not members:
            self._folders = (members, members.by_folder())
        return self._folders[1]

    async def _read_histories(self) -> tuple[History, ...] | None:
        facts = await _in_thread(read_facts, self._parts.ledger, Needs(histories=True), time.time())
        return facts.histories

    async def _read_deliveries(self) -> bool:
        """Have the tally know what was delivered before this process, once; or what others do."""
        tally, ledger = self._parts.tally, self._parts.ledger
        if not self._counted:
            began = tally.began
            today, first = day_start(began), day_start(began, DAYS - 1)
            for since, until, zero, bucket in (
                (began - LOOKED_BACK, first, 0.0, 2 * began),
                (first, today, today, DAY),
                (today, began, 0.0, HOUR),
            ):
                found = await _in_thread(read_deliveries, ledger, since, until, zero, bucket)
                tally.add(found)
            self._counted = True
        if isinstance(tally, SharedTally):
            await self._read_of_late(tally)
        return True

    async def _read_of_late(self, tally: SharedTally) -> None:
        """Have the tally know what all nodes have delivered of late."""
        ledger, now = self._parts.ledger, time.time()
        until = max(now - LATE, tally.settled)
        settled = await _in_thread(read_deliveries, ledger, tally.settled, until, 0.0, HOUR)
        # Another node's clock may be ahead.
        last = (until, now + HOUR, now - MINUTE, MINUTE)
        tally.count(settled, until, await _in_thread(read_deliveries, ledger, *last))


def _companies_of(members: Members) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in members.companies.values():
        for source in one.sources:
            found[source] = found.get(source, 0) + 1
    return found


def _flow(snapshot: Snapshot, parts: Parts, health: Health) -> Flow:
    hours, now = parts.tally.hours()
    others = [one.report for one in others_of(health) if one.report is not None]
    queues = {
        name: (stage.queue.documents, stage.queue.max_documents)
        for name, stage in snapshot.stages.items()
    }
    for report in others:
        for name, (documents, most) in report.queues.items():
            if name in queues:
                queues[name] = (queues[name][0] + documents, queues[name][1] + most)
    in_flight = sum(one.in_flight for one in snapshot.sources.values())
    return Flow(
        hours=hours,
        now=now,
        total=sum(sum(one.values()) for one in hours),
        rate=parts.tally.rate(),
        in_flight=in_flight + sum(sum(one.in_flight.values()) for one in others),
        queues=tuple((name, *one) for name, one in queues.items()),
    )


async def _in_thread(read: Callable[..., T], *arguments: object) -> T:
    return await anyio.to_thread.run_sync(partial(read, *arguments), abandon_on_cancel=True)
