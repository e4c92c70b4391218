"""Ledger selection: which documents an action is of, read beside the writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from pipeline.document import Key
from pipeline.ledger.connection import Connection
from pipeline.ledger.folding import folded
from pipeline.ledger.models import State, columns
from pipeline.ledger.orders import AGAIN, MAX_ORDERS, PAGE
from pipeline.ledger.place import LedgerPlace, reading

_COLUMNS = (
    "source, id, revision, label, state, acknowledged_at IS NOT NULL AND poll >= 0, company, kind,"
    " reason,"
    " sha256, path, details"
)


class Selected(Struct, frozen=True):
    """A document as an action needs to know it. is_told: whether its source was told of its end."""

    key: Key
    label: str
    state: State
    is_told: bool
    company: str
    kind: str
    reason: str
    sha256: str
    path: str
    details: str


def row_of(place: LedgerPlace, key: Key) -> Selected | None:
    """One document; None if there is no such one. Raises StateError."""
    where = "source = ? AND id = ? AND revision = ?"
    return next(iter(_select(place, where, columns(key))), None)


def rows_of(place: LedgerPlace, keys: Sequence[Key]) -> dict[Key, Selected]:
    """Some documents by their keys, as far as there are such ones. Raises StateError."""
    found: dict[Key, Selected] = {}
    for some in (keys[start : start + PAGE] for start in range(0, len(keys), PAGE)):
        where = " OR ".join(["(source = ? AND id = ? AND revision = ?)"] * len(some))
        rows = _select(place, where, tuple(part for key in some for part in columns(key)))
        found |= {row.key: row for row in rows}
    return found


def failed_because(place: LedgerPlace, reason: str) -> list[Selected]:
    """The quarantined and waiting documents whose reason has these words. Raises StateError.

    At most MAX_ORDERS + 1, as in delivered_between().
    """
    states = "state IN ('quarantined', 'waiting')"
    with reading(place) as connection:
        dialect = connection.dialect
        where = f"{states} AND {dialect.contains(dialect.folded('reason'), '?')}"
        return _selected(connection, where, (folded(reason),))


def delivered_between(
    place: LedgerPlace, company: str, first: float, last: float
) -> list[Selected]:
    """The documents of a company that were delivered from one moment until before another.

    company: "" for all. What was delivered again is not among them. Raises StateError.
    """
    where = (
        "state = 'delivered' AND source <> ? AND (?2 = '' OR company = ?2)"
        " AND delivered_at >= ?3 AND delivered_at < ?4"
    )
    return _select(place, where.replace("<> ?", "<> ?1"), (AGAIN, company, first, last))


def _select(place: LedgerPlace, where: str, parameters: tuple[Any, ...]) -> list[Selected]:
    with reading(place) as connection:
        return _selected(connection, where, parameters)


def _selected(connection: Connection, where: str, parameters: tuple[Any, ...]) -> list[Selected]:
    sql = f"SELECT {_COLUMNS} FROM documents WHERE {where} LIMIT {MAX_ORDERS + 1}"  # noqa: S608 - from above
    rows = connection.execute(sql, parameters).fetchall()
    return [Selected(Key(*r[:3]), r[3], State(r[4]), bool(r[5]), *r[6:]) for r in rows]
