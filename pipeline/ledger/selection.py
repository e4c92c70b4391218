"""Ledger selection: which documents an action is of, read beside the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline.document import Key
from pipeline.errors import StateError
from pipeline.ledger.database import BUSY_TIMEOUT
from pipeline.ledger.models import State, columns
from pipeline.ledger.orders import AGAIN, MAX_ORDERS, PAGE
from pipeline.ledger.sqlite_errors import explain, is_recoverable

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


def row_of(path: Path, key: Key) -> Selected | None:
    """One document; None if there is no such one. Raises StateError."""
    where = "source = ? AND id = ? AND revision = ?"
    return next(iter(_select(path, where, columns(key))), None)


def rows_of(path: Path, keys: Sequence[Key]) -> dict[Key, Selected]:
    """Some documents by their keys, as far as there are such ones. Raises StateError."""
    found: dict[Key, Selected] = {}
    for some in (keys[start : start + PAGE] for start in range(0, len(keys), PAGE)):
        where = " OR ".join(["(source = ? AND id = ? AND revision = ?)"] * len(some))
        rows = _select(path, where, tuple(part for key in some for part in columns(key)))
        found |= {row.key: row for row in rows}
    return found


def failed_because(path: Path, reason: str) -> list[Selected]:
    """The quarantined and waiting documents whose reason has these words. Raises StateError.

    At most MAX_ORDERS + 1, as in delivered_between().
    """
    where = "state IN ('quarantined', 'waiting') AND instr(folded(reason), ?)"
    return _select(path, where, (reason.casefold(),))


def delivered_between(path: Path, company: str, first: float, last: float) -> list[Selected]:
    """The documents of a company that were delivered from one moment until before another.

    company: "" for all. What was delivered again is not among them. Raises StateError.
    """
    where = (
        "state = 'delivered' AND source <> ? AND (?2 = '' OR company = ?2)"
        " AND delivered_at >= ?3 AND delivered_at < ?4"
    )
    return _select(path, where.replace("<> ?", "<> ?1"), (AGAIN, company, first, last))


def _select(path: Path, where: str, parameters: tuple[Any, ...]) -> list[Selected]:
    sql = f"SELECT {_COLUMNS} FROM documents WHERE {where} LIMIT {MAX_ORDERS + 1}"  # noqa: S608 - from above
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT)) as connection:
            connection.create_function("folded", 1, str.casefold, deterministic=True)
            rows = connection.execute(sql, parameters).fetchall()
    except sqlite3.Error as error:
        reason, remedy = explain(error) if is_recoverable(error) else (str(error), "")
        raise StateError(str(path), f"the ledger can't be read: {reason}", remedy) from None
    return [Selected(Key(*r[:3]), r[3], State(r[4]), bool(r[5]), *r[6:]) for r in rows]
