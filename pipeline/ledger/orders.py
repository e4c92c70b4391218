"""Orders: what people ask for of documents, durable until it is done, and the record of who asked.

An action is what one person asked for at one moment; it has an order for each document of which
something is to be done. An order that is open when the program ends goes on at the next start.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from pipeline.document import Key
from pipeline.ledger.connection import Connection
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import columns

#: The name, in keys, of what is delivered again: the id is the number of its order. No source of a
#: configuration is called so.
AGAIN = "(again)"
#: Orders that are read at once; orders of one action, and records of one answer, at most.
PAGE = 200
MAX_ORDERS = 100_000
MAX_RECORDS = 100

#: The verbs of orders.
RETRY, REDELIVER, ASSIGN = "retry", "redeliver", "assign"


class NewOrder(Struct, frozen=True):
    """What is to be done with one document. company, kind: to be its own, for ASSIGN.

    folder: where it is to be delivered, "" for its own destination.
    """

    verb: str
    key: Key
    company: str = ""
    kind: str = ""
    folder: str = ""


class Order(Struct, frozen=True):
    """An order that is not done. reason: of its action."""

    number: int
    verb: str
    key: Key
    company: str
    kind: str
    folder: str
    reason: str = ""

    @property
    def delivered_as(self) -> Key:
        """The key of the row that says what became of it."""
        return Key(AGAIN, str(self.number), "") if self.verb == REDELIVER else self.key


class Ended(Struct, frozen=True):
    """What came of an order. result: the path of the file, or why it was not done."""

    number: int
    done: bool
    result: str


class OrderRecord(Struct, frozen=True):
    """An order as a story tells it. ended_at: None while it is open; done: whether it was done.

    result: as in Ended; of an open one, why its document waits.
    """

    number: int
    done: bool
    verb: str
    at: float
    who: str
    reason: str
    company: str
    kind: str
    folder: str
    ended_at: float | None
    result: str


class ActionRecord(Struct, frozen=True):
    """An action as it was recorded. subject: what it was of, for people."""

    number: int
    at: float
    who: str
    action: str
    subject: str
    reason: str
    result: str


class NewAction(Struct, frozen=True):
    """An action that is about to be recorded."""

    who: str
    action: str
    subject: str
    reason: str = ""
    result: str = ""


class OrderBook:
    """The actions and orders of one ledger. Each change is durable when its method returns."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def record(self, action: NewAction, orders: Sequence[NewOrder] = (), *, at: float) -> int:
        """Record an action with its orders; its number."""
        return await self._ledger.change(_Recording(action, orders, at))

    async def open(self, after: int = 0) -> list[Order]:
        """The next orders that are not done, by their numbers, at most PAGE."""
        return await self._ledger.change(partial(_open, after))

    async def has_newer(self, number: int) -> bool:
        """Whether there is an open order of a higher number, which any node has recorded."""
        return bool(await self._ledger.ask(partial(_open, number)))

    async def end(self, ended: Sequence[Ended], at: float) -> None:
        """Record what came of orders; one that has ended stays as it is."""
        sql = (
            "UPDATE orders SET ended_at = ?2, done = ?3, result = ?4"
            " WHERE number = ?1 AND ended_at IS NULL"
        )
        rows = [(one.number, at, one.done, one.result) for one in ended]
        if rows:
            await self._ledger.change(lambda connection: connection.executemany(sql, rows).close())

    async def left(self, action: int) -> tuple[int, int, str]:
        """Of an action: orders that are open, those that were not done, and why one was not."""
        return await self._ledger.change(partial(_left, action))

    async def waiting(self, action: int) -> tuple[int, str]:
        """Of an action: the documents that wait for now, and why one of them does."""
        return await self._ledger.change(partial(_waiting, action))

    async def set_back(self, keys: Sequence[Key], reason: str, at: float) -> None:
        """Have quarantined documents wait, so that they start again when they are listed."""
        sql = (
            "UPDATE documents SET state = 'waiting', reason = ?4, changed_at = ?5,"
            " acknowledged_at = NULL WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state = 'quarantined'"
        )
        rows = [(*columns(key), reason, at) for key in keys]
        await self._ledger.change(lambda connection: connection.executemany(sql, rows).close())

    async def pause(self, source: str, who: str, at: float | None) -> None:
        """Record that a source is paused since then, by whom; None: that it goes on."""
        sql = (
            "INSERT INTO sources (name, paused_at, paused_by) VALUES (?1, ?2, ?3)"
            " ON CONFLICT (name) DO UPDATE SET paused_at = ?2, paused_by = ?3"
        )
        await self._ledger.change(
            lambda connection: connection.execute(sql, (source, at, who)).close()
        )

    async def paused(self) -> dict[str, tuple[float, str]]:
        """The sources that are paused: since when, and by whom."""
        return await self._ledger.change(_paused)


#: The row that says what becomes of an order `o`, where it waits; see Order.delivered_as.
_WAITING = (
    "documents d ON d.state = 'waiting'"
    f" AND d.source = CASE o.verb WHEN '{REDELIVER}' THEN '{AGAIN}' ELSE o.source END"
    f" AND d.id = CASE o.verb WHEN '{REDELIVER}' THEN CAST(o.number AS TEXT) ELSE o.id END"
    f" AND d.revision = CASE o.verb WHEN '{REDELIVER}' THEN '' ELSE o.revision END"
)


def orders_of(connection: Connection, key: Key) -> tuple[OrderRecord, ...]:
    """What was asked for of one document, the latest first."""
    rows = connection.execute(
        "SELECT o.number, coalesce(o.done, 0), o.verb, a.at, a.who, a.reason, o.company, o.kind,"  # noqa: S608 - from above
        " o.folder, o.ended_at, CASE WHEN o.ended_at IS NULL THEN coalesce(d.reason, '')"
        " ELSE o.result END FROM orders o JOIN actions a ON a.number = o.action"
        f" LEFT JOIN {_WAITING} WHERE o.source = ? AND o.id = ? AND o.revision = ?"
        " ORDER BY o.number DESC LIMIT ?",
        (*columns(key), MAX_RECORDS),
    )
    return tuple(OrderRecord(row[0], bool(row[1]), *row[2:]) for row in rows)


def actions_of(connection: Connection, key: Key) -> tuple[ActionRecord, ...]:
    """The actions that one document was of, the latest first."""
    rows = connection.execute(
        "SELECT number, at, who, action, subject, reason, result FROM actions WHERE number IN"
        " (SELECT action FROM orders WHERE source = ? AND id = ? AND revision = ?)"
        " ORDER BY number DESC LIMIT ?",
        (*columns(key), MAX_RECORDS),
    )
    return tuple(ActionRecord(*row) for row in rows)


class _Recording:
    """Records an action with its orders once, however often it is applied."""

    def __init__(self, action: NewAction, orders: Sequence[NewOrder], at: float) -> None:
        self._action = (at, action.who, action.action, action.subject, action.reason, action.result)
        self._orders = orders
        #: What the application before has got, which was committed or not.
        self._number = 0

    def __call__(self, connection: Connection) -> int:
        """Record it within the transaction that is open, unless it is recorded; its number."""
        if not self._is_recorded(connection):
            self._number = self._record(connection)
        return self._number

    def _is_recorded(self, connection: Connection) -> bool:
        # Another action may have got the number, if the commit was not made.
        rows = connection.execute(
            "SELECT at, who, action, subject, reason, result FROM actions WHERE number = ?",
            (self._number,),
        )
        return self._number > 0 and self._action in rows.fetchall()

    def _record(self, connection: Connection) -> int:
        ((number,),) = connection.execute(
            "INSERT INTO actions (at, who, action, subject, reason, result)"
            " VALUES (?, ?, ?, ?, ?, ?) RETURNING number",
            self._action,
        ).fetchall()
        rows = [
            (number, one.verb, *columns(one.key), one.company, one.kind, one.folder)
            for one in self._orders
        ]
        if rows:
            connection.executemany(
                "INSERT INTO orders (action, verb, source, id, revision, company, kind, folder)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            ).close()
        return int(number)


def _open(after: int, connection: Connection) -> list[Order]:
    rows = connection.execute(
        "SELECT o.number, o.verb, o.source, o.id, o.revision, o.company, o.kind, o.folder, a.reason"  # noqa: S608 - an index
        f" FROM orders o{connection.dialect.indexed('orders_open')}"
        " JOIN actions a ON a.number = o.action"
        " WHERE o.ended_at IS NULL AND o.number > ? ORDER BY o.number LIMIT ?",
        (after, PAGE),
    )
    return [Order(row[0], row[1], Key(*row[2:5]), *row[5:]) for row in rows]


def _left(action: int, connection: Connection) -> tuple[int, int, str]:
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE ended_at IS NULL), count(*) FILTER (WHERE done = 0),"
        " coalesce(min(result) FILTER (WHERE done = 0), '') FROM orders WHERE action = ?",
        (action,),
    ).fetchone()
    return int(row[0]), int(row[1]), str(row[2])


def _waiting(action: int, connection: Connection) -> tuple[int, str]:
    row = connection.execute(
        f"SELECT count(*), coalesce(min(d.reason), '') FROM orders o JOIN {_WAITING}"  # noqa: S608 - from above
        " WHERE o.action = ? AND o.ended_at IS NULL",
        (action,),
    ).fetchone()
    return int(row[0]), str(row[1])


def _paused(connection: Connection) -> dict[str, tuple[float, str]]:
    rows = connection.execute(
        "SELECT name, paused_at, paused_by FROM sources WHERE paused_at IS NOT NULL"
    )
    return {name: (at, who) for name, at, who in rows}
