"""Gone documents: those that waited, and that their source does not list any more.

Such a document is recorded as quarantined, with nothing to tell its source, and its `poll` is the
negative number of the one that found it gone. If it is listed again, it starts again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from pipeline.document import Key
from pipeline.ledger.connection import Connection
from pipeline.ledger.ledger import CURRENT_POLL, Ledger
from pipeline.ledger.models import State, columns

#: Documents that are looked at in one poll, at most.
MOST = 5000


class LeftWaiting(Struct, frozen=True):
    """A document that waits, and was not listed since a poll began.

    company: whose list showed it, as far as that is known. poll: in which it was listed last.
    """

    key: Key
    label: str
    reason: str
    company: str
    poll: int


async def left_waiting(ledger: Ledger, source: str, poll: float) -> list[LeftWaiting]:
    """The documents of a source that wait, and were listed before this poll only, at most MOST."""
    return await ledger.ask(partial(_left_waiting, source, poll))


async def record_gone(ledger: Ledger, found: Sequence[tuple[Key, str]], at: float) -> None:
    """Record documents that wait as gone, (key, reason) each: durable on return."""
    await ledger.change(partial(_record, found, at))


def _left_waiting(source: str, poll: float, connection: Connection) -> list[LeftWaiting]:
    rows = connection.execute(
        "SELECT id, revision, label, reason, company, poll FROM documents"  # noqa: S608 - an index
        f"{connection.dialect.indexed('documents_kept')}"
        " WHERE state IN ('quarantined', 'waiting') AND state = ?1 AND source = ?2 AND poll < ?3"
        " LIMIT ?4",
        (State.WAITING.value, source, poll, MOST),
    )
    return [LeftWaiting(Key(source, r[0], r[1]), *r[2:]) for r in rows]


def _record(found: Sequence[tuple[Key, str]], at: float, connection: Connection) -> None:
    connection.executemany(
        "UPDATE documents SET state = 'quarantined', reason = ?4, changed_at = ?5,"  # noqa: S608 - constants only
        f" acknowledged_at = ?5, poll = -{CURRENT_POLL}"
        " WHERE source = ?1 AND id = ?2 AND revision = ?3 AND state = 'waiting'",
        [(*columns(key), reason, at) for key, reason in found],
    )
