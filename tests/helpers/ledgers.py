"""A document in a ledger: brought there as the stages do it."""

from __future__ import annotations

from typing import Any

from pipeline.document import Key
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import AllocatedName, Allocation, Known, Staged

KEY = Key("box", "1", "")


def staged(key: Key = KEY, name: str = "out/7.xml", **more: Any) -> Staged:
    return Staged(key, "t/1", (), name, "BE1", "sales", "ab", 9, "Digest", "odd", 3.0, **more)


async def row(ledger: Ledger, key: Key = KEY) -> Known:
    return (await ledger.contents(key.source, [key.id]))[key.id][key.revision]


async def bring(ledger: Ledger, key: Key = KEY, **more: Any) -> Allocation:
    await ledger.seen([(key, f"invoice {key.id}")], 1.0)
    (end,) = await ledger.stage([staged(key, **more)], 4.0)
    if isinstance(end, AllocatedName):
        await ledger.delivered([(key, "t/1")], 5.0)
    return end
