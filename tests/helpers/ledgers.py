"""A document in a ledger: brought there as the stages do it."""

from __future__ import annotations

from typing import Any

from pipeline.document import Key
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import AllocatedName, Allocation, Known, Staged
from pipeline.ledger.place import LedgerPlace, PostgresPlace, reading

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


def query(place: LedgerPlace, sql: str) -> list[tuple[Any, ...]]:
    """What a statement finds, beside whoever writes."""
    with reading(place) as connection:
        return connection.execute(sql).fetchall()


def connection_of(ledger: Ledger) -> Any:
    """The writer's own connection."""
    return ledger._writer._store.connection


def psycopg_of(place: LedgerPlace) -> Any:
    """A connection of psycopg to a database, which commits each statement."""
    import psycopg  # noqa: PLC0415 - an extra

    assert isinstance(place, PostgresPlace)
    return psycopg.connect(place.dsn, autocommit=True)
