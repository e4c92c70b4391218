"""What the rules of alerts read of a real ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.alerts.facts import (
    COMMITTED,
    COMMITTED_BY_ALL,
    DAY,
    Delivered,
    Needs,
    read_facts,
)
from pipeline.document import Key
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import Staged
from pipeline.ledger.place import LedgerPlace

pytestmark = pytest.mark.anyio

NOW = 1_000 * DAY


async def deliver(ledger: Ledger, number: int, company: str, kind: str, at: float) -> None:
    key = Key("box", f"{number}", "")
    await ledger.seen([(key, f"invoice {number}")], at)
    staged = Staged(key, f"t/{number}", (), f"out/{number}.xml", company, kind, "ab", 9, "", "", at)
    await ledger.stage([staged], at)
    await ledger.delivered([(key, staged.staged)], at)


async def quarantine(ledger: Ledger, number: int, at: float) -> None:
    key = Key("box", f"q{number}", "")
    await ledger.seen([(key, f"invoice {number}")], at)
    await ledger.quarantined([(key, "damaged")], at)


async def test_quarantined_documents_are_read_once_and_counted(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await quarantine(ledger, 0, NOW - 100)
        for number in range(1, 8):
            await quarantine(ledger, number, NOW - 50 + number)
        await quarantine(ledger, 9, NOW)
        await ledger.waiting([(Key("box", "w", ""), "later")], NOW - 40)
        # The clocks of several nodes may differ.
        now = NOW if isinstance(place, Path) else NOW + COMMITTED_BY_ALL - COMMITTED
        found = read_facts(place, Needs(quarantined_after=NOW - 60), now).quarantined
        assert found is not None
        assert found.count == 7
        assert found.few[0] == ("invoice 1", "damaged")
        assert len(found.few) == 5
        later = read_facts(place, Needs(quarantined_after=found.until), now + 10).quarantined
        assert later is not None
        assert later.few == (("invoice 9", "damaged"),)


async def test_histories_and_deliveries_are_by_company(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        for number, days in enumerate((1, 1, 3, 10, 500)):
            await deliver(ledger, number, "BE1", "purchase", NOW - days * DAY + number)
        await deliver(ledger, 7, "BE2", "sales", NOW - DAY)
        await quarantine(ledger, 0, NOW - DAY)
        facts = read_facts(place, Needs(histories=True, delivered_after=NOW - 2 * DAY), NOW)
        assert facts.histories is not None
        first, second = facts.histories
        assert (first.company, first.days) == ("BE1", (990, 997, 999))
        assert first.last == NOW - DAY + 1
        assert second.company == "BE2"
        assert facts.delivered == (Delivered("BE1", "purchase", 2), Delivered("BE2", "sales", 1))
        assert facts.quarantined is None
