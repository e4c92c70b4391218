"""What an action decides: which way a document starts again, what is refused, what is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from pipeline.control.actions import Actions
from pipeline.document import Document, Key
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import ControlError, NotKnown
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import Staged, State
from pipeline.ledger.orders import ASSIGN, REDELIVER, RETRY, OrderBook
from pipeline.ledger.place import LedgerPlace
from pipeline.traits import Acknowledging, Traits
from tests.helpers.documents import configured, fetched
from tests.helpers.ledgers import query

pytestmark = pytest.mark.anyio

COMPANY = "BE0403170701"


class World:
    """A ledger with its quarantine, and a service of which only the traits are told."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder = folder
        self.ledger = ledger
        self.book = OrderBook(ledger)
        self.quarantine = Quarantine(folder / "quarantine")
        self.told_traits: Traits | None = Traits(says_error=True)
        self.source_names: Collection[str] = ["box", "other"]
        self.kinds: Collection[str] = ["purchase", "sales"]
        self.polled: list[str] = []
        self.held: list[tuple[str, bool]] = []
        self.in_flight: set[str] = set()
        self.actions = Actions(
            *(self.book, ledger.place, self.quarantine, self),
            lambda _, id_: id_ in self.in_flight,
            lambda: None,
        )

    def traits(self, source: str) -> Traits | None:
        return self.told_traits if source == "box" else None

    def poll_now(self, source: str) -> None:
        self.polled.append(source)

    def hold(self, source: str, since: float | None, by: str) -> None:
        self.held.append((source, since is not None))

    def company(self, named: str) -> str | None:
        return COMPANY if named in (COMPANY, "Peeters") else None

    def destination_problem(self, folder: str) -> str:
        return "" if folder.startswith("/") else "this is no absolute path of a folder"

    async def quarantined(self, id_: str, *, told: bool = True, kept: bool = True) -> Key:
        document: Document[Any] = fetched(configured(self.folder), "<a/>", id_)
        key = document.key
        await self.ledger.seen([(key, f"invoice {id_}")], 1.0)
        if not kept:
            document = structs.replace(document, payload=None)
        await self.quarantine.keep(document, "of no company")
        await self.ledger.quarantined([(key, "it is of NO company")], 2.0)
        if told:
            await self.ledger.acknowledged([key], 3.0)
            # It is committed before any later change.
            await self.book.pause("other", "", None)
        return key

    async def delivered(self, id_: str, at: float = 5.0) -> Key:
        key = Key("box", id_, "")
        await self.ledger.seen([(key, f"invoice {id_}")], 1.0)
        staged = Staged(key, "t", (), f"/o/{id_}", COMPANY, "sales", "ab", 9, "", "", 3.0)
        await self.ledger.stage([staged], 4.0)
        await self.ledger.delivered([(key, "t")], at)
        return key

    async def state(self, key: Key) -> State:
        return (await self.ledger.contents(key.source, [key.id]))[key.id][key.revision].state

    def recorded(self) -> list[tuple[str, str, str]]:
        return query(self.ledger.place, "SELECT who, action, result FROM actions ORDER BY number")


@asynccontextmanager
async def world(folder: Path, place: LedgerPlace) -> AsyncIterator[World]:
    async with open_ledger(place) as ledger:
        yield World(folder, ledger)


@pytest.mark.parametrize(
    ("traits", "told", "is_listed"),
    [
        (Traits(says_error=True), True, False),
        (Traits(says_error=True), False, True),
        (Traits(says_error=False), True, False),
        (Traits(shrinks=False), True, True),
        (Traits(shrinks=False, acknowledges=Acknowledging.OFFSET), True, False),
        (None, True, False),
    ],
)
async def test_a_document_starts_again_by_its_list_where_that_still_has_it(
    tmp_path: Path, place: LedgerPlace, traits: Traits | None, told: bool, is_listed: bool
) -> None:
    async with world(tmp_path, place) as one:
        one.told_traits = traits
        key = await one.quarantined("1", told=told)
        result = await one.actions.retry([key], who="jan")
        orders = await one.book.open()
        assert (result.done, result.orders) == (1, int(not is_listed))
        assert [order.verb for order in orders] == ([] if is_listed else [RETRY])
        assert await one.state(key) is (State.WAITING if is_listed else State.QUARANTINED)
        assert one.polled == ["box"]
        assert one.recorded() == [("jan", "retry", "")]


async def test_what_nobody_has_any_more_is_said(tmp_path: Path, place: LedgerPlace) -> None:
    async with world(tmp_path, place) as one:
        one.told_traits = None
        key = await one.quarantined("1", kept=False)
        with pytest.raises(ControlError, match="nothing of it is kept"):
            await one.actions.retry([key], who="jan")
        assert await one.book.open() == []
        assert "nothing of it is kept" in one.recorded()[0][2]
        # Its source may have it by its id.
        one.told_traits = Traits(says_error=True)
        assert (await one.actions.retry([key], who="jan")).orders == 1


async def test_all_of_one_reason_start_again(tmp_path: Path, place: LedgerPlace) -> None:
    async with world(tmp_path, place) as one:
        keys = [await one.quarantined(str(number)) for number in range(3)]
        waiting = Key("box", "sales/w", "")
        await one.ledger.waiting([(waiting, "It Is Of No Company, for now")], 2.0)
        other = Key("box", "sales/x", "")
        await one.ledger.waiting([(other, "the disk is full")], 2.0)
        result = await one.actions.retry(reason="of no company", who="jan")
        assert (result.done, result.orders) == (4, 3)
        assert {order.key for order in await one.book.open()} == set(keys)
        with pytest.raises(ControlError, match="there are none"):
            await one.actions.retry(reason="%", who="jan")


async def test_only_what_was_delivered_comes_again_and_what_came_again_does_not(
    tmp_path: Path,
    place: LedgerPlace,
) -> None:
    async with world(tmp_path, place) as one:
        keys = [await one.delivered(str(number), 86_400.0 * 30 * number) for number in (1, 2)]
        bad = await one.quarantined("9")
        with pytest.raises(ControlError, match="quarantined, and was not delivered"):
            await one.actions.redeliver([keys[0], bad], who="jan")
        assert await one.book.open() == []
        result = await one.actions.redeliver(
            company="Peeters", first="1970-01-20", last="1970-02-15", who="jan"
        )
        (order,) = await one.book.open()
        assert (result.orders, order.verb, order.key) == (1, REDELIVER, keys[0])
        result = await one.actions.redeliver(company=COMPANY, into="/x", who="jan")
        assert result.orders == 2
        assert [order.folder for order in await one.book.open()] == ["", "/x", "/x"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"company": "nobody"}, "no company is called so"),
        ({"first": "yesterday"}, "no days"),
        ({"last": "2026-01-01"}, "nothing says which"),
        ({"company": COMPANY, "into": "here"}, "no absolute path"),
    ],
)
async def test_what_is_asked_for_wrongly_is_refused_and_recorded(
    tmp_path: Path, place: LedgerPlace, asked: dict[str, str], reason: str
) -> None:
    async with world(tmp_path, place) as one:
        await one.delivered("1")
        with pytest.raises(NotKnown, match=reason):
            await one.actions.redeliver(**asked, who="jan")
        ((who, action, result),) = one.recorded()
        assert (who, action) == ("jan", "redeliver")
        assert reason in result


async def test_a_document_is_assigned_with_its_reason(tmp_path: Path, place: LedgerPlace) -> None:
    async with world(tmp_path, place) as one:
        key = await one.quarantined("1")
        await one.actions.assign(key, "Peeters", "purchase", "they have moved", "jan")
        (order,) = await one.book.open()
        assert (order.verb, order.company, order.kind) == (ASSIGN, COMPANY, "purchase")
        assert order.reason == "they have moved"
        for wrong in (
            ("nobody", "purchase", "so"),
            ("Peeters", "x", "so"),
            ("Peeters", "sales", " "),
        ):
            with pytest.raises(NotKnown):
                await one.actions.assign(key, *wrong, "jan")
        delivered, empty = await one.delivered("2"), await one.quarantined("3", kept=False)
        for other, why in ((delivered, "not in quarantine"), (empty, "keeps no bytes")):
            with pytest.raises(ControlError, match=why):
                await one.actions.assign(other, "Peeters", "sales", "so", "jan")
        one.in_flight.add(key.id)
        with pytest.raises(ControlError, match="being worked on"):
            await one.actions.assign(key, "Peeters", "sales", "so", "jan")
        with pytest.raises(NotKnown, match="no such document"):
            await one.actions.assign(Key("box", "none", ""), "Peeters", "sales", "so", "jan")


async def test_sources_are_paused_polled_and_resumed(tmp_path: Path, place: LedgerPlace) -> None:
    async with world(tmp_path, place) as one:
        assert (await one.actions.poll(None, "jan")).done == 2
        assert (await one.actions.pause("box", "jan")).done == 1
        assert (await one.actions.poll(None, "jan")).done == 1
        with pytest.raises(ControlError, match="paused"):
            await one.actions.poll("box", "jan")
        assert (await one.actions.resume("box", "jan")).done == 1
        assert (await one.actions.resume("box", "jan")).done == 0
        for method in (one.actions.pause, one.actions.resume, one.actions.poll):
            with pytest.raises(NotKnown, match="not configured"):
                await method("none", "jan")
        assert one.polled == ["box", "other", "other"]
        assert one.held == [("box", True), ("box", False)]
        assert len(one.recorded()) == 9
