"""What the page, the alerts and the figures read of a ledger, a file or a database."""

from __future__ import annotations

import pytest

from pipeline.document import Key
from pipeline.ledger.counts import LedgerCounts
from pipeline.ledger.gone import left_waiting, record_gone
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.models import State
from pipeline.ledger.overview import Deliveries, read_deliveries, read_undelivered
from pipeline.ledger.place import LedgerPlace
from tests.helpers.ledgers import KEY, bring, row, staged

pytestmark = pytest.mark.anyio

ONE, TWO = Key("box", "w1", ""), Key("box", "w2", "r")


async def test_what_waits_and_what_failed_is_listed_the_latest_first(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await ledger.waiting([(ONE, "x" * 3000)], 1.0)
        await ledger.waiting([(TWO, "later")], 2.0, company="BE1")
        await ledger.quarantined([(KEY, "why")], 3.0)
        # Behind what nobody waits for.
        await ledger.contents("box", ["1"])
        found = read_undelivered(place)
        assert (found.quarantined, found.waiting) == (1, 2)
        assert [one.key for one in found.documents] == [KEY, TWO, ONE]
        assert [len(one.reason) for one in found.documents] == [3, 5, 1000]
        assert found.documents[1].company == "BE1"


async def test_deliveries_are_counted_by_the_time_in_which_they_were_made(
    place: LedgerPlace,
) -> None:
    async with open_ledger(place) as ledger:
        for number, at in enumerate((-25.0, -10.0, 0.0, 9.99, 10.0, 25.0, 400.0)):
            key = Key("box", str(number), "")
            await ledger.seen([(key, "")], 1.0)
            await ledger.stage([staged(key)], 1.0)
            await ledger.delivered([(key, "t/1")], 1000.0 + at)
        found = read_deliveries(place, 970.0, 1100.0, 1000.0, 10.0)
    assert sorted(found, key=lambda one: one.bucket) == [
        Deliveries("BE1", "sales", -3, 1, 975.0),
        Deliveries("BE1", "sales", -1, 1, 990.0),
        Deliveries("BE1", "sales", 0, 2, 1009.99),
        Deliveries("BE1", "sales", 1, 1, 1010.0),
        Deliveries("BE1", "sales", 2, 1, 1025.0),
    ]


async def test_what_still_needs_something_is_counted_in_either(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await bring(ledger)
        await ledger.seen([(ONE, "")], 1.0)
        await ledger.stage([staged(ONE)], 1.0)
        await ledger.waiting([(TWO, "later")], 2.0)
        await ledger.quarantined([(Key("box", "q", ""), "why")], 2.0)
        found = await ledger.counts()
    assert found == LedgerCounts(1, 1, 1, 2, found.bytes)
    assert found.bytes > 10_000


async def test_what_is_listed_no_more_is_gone(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await ledger.begin_poll("box")
        await ledger.waiting([(ONE, "later")], 1.0)
        poll = await ledger.begin_poll("box")
        await ledger.waiting([(TWO, "later")], 2.0)
        left = await left_waiting(ledger, "box", poll)
        assert [(one.key, one.poll) for one in left] == [(ONE, 1)]
        assert {one.key for one in await left_waiting(ledger, "box", float("inf"))} == {ONE, TWO}
        for _ in range(2):
            await record_gone(ledger, [(ONE, "gone"), (KEY, "never seen")], 3.0)
        known = await row(ledger, ONE)
        assert (known.state, known.poll, known.is_gone) == (State.QUARANTINED, -2, True)
