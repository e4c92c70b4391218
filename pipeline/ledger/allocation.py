"""Gives documents their names in the ledger, each to one alone, and finds what is a duplicate.

Every statement lets go of the interpreter's lock and has to win it back from the event loop, which
takes longer than the statement itself. So what may stand in the way of a group is looked up for
all of it at once, and only a document in whose way something may stand is looked at by itself.
Nothing here touches the folders: a transaction must not wait for them.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from pipeline.alternatives import alternative, first_free, name_hash
from pipeline.document import Key
from pipeline.ledger.models import (
    AllocatedName,
    Allocation,
    Duplicate,
    NameTaken,
    Staged,
    State,
    Unrecorded,
    columns,
)

#: Names whose next number is remembered: those that several documents have asked for.
REMEMBERED = 10_000


class Numbers:
    """The next number of each name that several documents have asked for, the latest asked for.

    What is not remembered is found out from the ledger, by few questions.
    """

    def __init__(self) -> None:
        self._next: OrderedDict[int, int] = OrderedDict()

    def next(self, name: int) -> int:
        """The lowest number that may be free, of the name with this hash."""
        return self._next.get(name, 1)

    def given(self, name: int, number: int) -> None:
        """Remember that this number was given."""
        self._next[name] = number + 1
        self._next.move_to_end(name)
        if len(self._next) > REMEMBERED:
            self._next.popitem(last=False)


def allocate(
    documents: Sequence[Staged], at: float, numbers: Numbers, connection: sqlite3.Connection
) -> list[Allocation]:
    """Give each of a group a name that no other document has had, unless it is a duplicate.

    Within the transaction that is open; of what gets no name nothing is recorded.
    """
    names = [alternative(document.path, document.first) for document in documents]
    hashes = [name_hash(name) for name in names]
    taken = _held(connection, "name_hash", hashes)
    identities = _held(connection, "identity", [one.identity for one in documents])
    marks = _held(connection, "number_hash", [one.number_hash for one in documents])
    ends: list[Allocation] = []
    for document, name, hash_ in zip(documents, names, hashes, strict=True):
        twin = _twin(connection, document) if document.identity in identities else None
        if twin is not None and not document.may_repeat:
            ends.append(twin)
            continue
        claim = AllocatedName(name, document.first)
        if hash_ in taken:
            claim = _free(connection, document.key, document.path, document.first, numbers)
            hash_ = name_hash(claim.path)  # noqa: PLW2901 - of the name that it gets
        corrects = _corrected(connection, document) if document.number_hash in marks else ""
        if not _record(connection, document, claim.path, hash_, at):
            ends.append(Unrecorded(_state(connection, document.key)))
            continue
        # From here on they stand in the way of the rest of the group.
        taken.add(hash_)
        if document.identity is not None:
            identities.add(document.identity)
        if document.number_hash is not None:
            marks.add(document.number_hash)
        repeats = twin.label if twin else ""
        ends.append(AllocatedName(claim.path, claim.number, "" if twin else corrects, repeats))
    return ends


def reallocate(
    documents: Sequence[NameTaken], at: float, numbers: Numbers, connection: sqlite3.Connection
) -> list[AllocatedName]:
    """Give staged documents another name each, within the transaction that is open."""
    claims = []
    for one in documents:
        claim = _free(connection, one.key, one.path, one.first, numbers)
        connection.execute(
            "UPDATE documents SET path = ?4, name_hash = ?5, changed_at = ?6"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3",
            (*columns(one.key), claim.path, name_hash(claim.path), at),
        )
        claims.append(claim)
    return claims


def _held(connection: sqlite3.Connection, column: str, values: Sequence[int | None]) -> set[int]:
    """Which of these values of a column some document has."""
    rows = connection.execute(
        f"SELECT {column} FROM documents"  # noqa: S608 - one of the table's own columns
        f" WHERE {column} IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(values).decode(),),
    )
    return {row[0] for row in rows}


def _free(
    connection: sqlite3.Connection, key: Key, path: str, first: int, numbers: Numbers
) -> AllocatedName:
    """An alternative of a name, from a number on, that no other document has had."""

    def is_taken(number: int) -> bool:
        rows = connection.execute(
            "SELECT source, id, revision FROM documents WHERE name_hash = ? LIMIT 2",
            (name_hash(alternative(path, number)),),
        )
        return any(Key(*row) != key for row in rows)

    name = name_hash(path)
    number = first_free(is_taken, max(first, numbers.next(name)))
    numbers.given(name, number)
    return AllocatedName(alternative(path, number), number)


def _twin(connection: sqlite3.Connection, document: Staged) -> Duplicate | None:
    """Another document that is the same and is delivered, or about to be."""
    rows = connection.execute(
        "SELECT source, id, revision, label, state FROM documents WHERE identity = ?"
        " AND state IN ('staged', 'delivered') LIMIT 2",
        (document.identity,),
    )
    twins = (Duplicate(Key(*row[:3]), row[3], State(row[4])) for row in rows)
    return next((twin for twin in twins if twin.key != document.key), None)


def _corrected(connection: sqlite3.Connection, document: Staged) -> str:
    """The label of another document of the same number that is delivered, or about to be."""
    rows = connection.execute(
        "SELECT source, id, revision, label FROM documents WHERE number_hash = ?"
        " AND state IN ('staged', 'delivered') LIMIT 2",
        (document.number_hash,),
    )
    return next((row[3] for row in rows if Key(*row[:3]) != document.key), "")


def _record(
    connection: sqlite3.Connection, document: Staged, path: str, hash_: int, at: float
) -> bool:
    """Record a document as staged; False where the ledger has no row for that."""
    updated = connection.execute(
        "UPDATE documents SET state = 'staged', staged = ?4, path = ?5, name_hash = ?6,"
        " company = ?7, kind = ?8, sha256 = ?9, size = ?10, checksum = ?11, warnings = ?12,"
        " verified_at = ?13, changed_at = ?14, companions = ?15, identity = ?16,"
        " number_hash = ?17 WHERE source = ?1 AND id = ?2 AND revision = ?3"
        " AND state NOT IN ('staged', 'delivered')",
        (
            *columns(document.key),
            *(document.staged, path, hash_, document.company, document.kind),
            *(document.sha256, document.size, document.checksum, document.warnings),
            *(document.verified_at, at, " ".join(document.sidecars)),
            *(document.identity, document.number_hash),
        ),
    )
    return updated.rowcount == 1


def _state(connection: sqlite3.Connection, key: Key) -> State | None:
    row = connection.execute(
        "SELECT state FROM documents WHERE source = ?1 AND id = ?2 AND revision = ?3", columns(key)
    ).fetchone()
    return State(row[0]) if row else None
