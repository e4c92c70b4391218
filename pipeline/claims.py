"""Gives documents their names in the ledger, each to one alone, and finds what is a duplicate.

Every statement lets go of the interpreter's lock and has to win it back from the event loop, which
takes longer than the statement itself. So what may stand in the way of a group is looked up for
all of it at once, and only a document in whose way something may stand is looked at by itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from pipeline.document import Key
from pipeline.records import Claim, Name, Staged, State, Twin, columns


def claim(
    documents: Sequence[Staged], at: float, connection: sqlite3.Connection
) -> list[Claim | Twin]:
    """Give each of a group a name that no other document has had, unless it is a duplicate.

    Within the transaction that is open; of a duplicate nothing is recorded.
    """
    names = [next(document.names()) for document in documents]
    hashes = _held(connection, "name_hash", [name.hash for name in names])
    identities = _held(connection, "identity", [one.identity for one in documents])
    numbers = _held(connection, "number_hash", [one.number_hash for one in documents])
    ends: list[Claim | Twin] = []
    for document, first in zip(documents, names, strict=True):
        twin = _twin(connection, document) if document.identity in identities else None
        if twin is not None and not document.may_repeat:
            ends.append(twin)
            continue
        name = _free(connection, document) if first.hash in hashes else first
        corrected = _corrected(connection, document) if document.number_hash in numbers else ""
        _record(connection, document, name, at)
        # From here on they stand in the way of the rest of the group.
        hashes.add(name.hash)
        if document.identity is not None:
            identities.add(document.identity)
        if document.number_hash is not None:
            numbers.add(document.number_hash)
        ends.append(
            Claim(name.path, repeats=twin.label) if twin else Claim(name.path, corrects=corrected)
        )
    return ends


def _held(connection: sqlite3.Connection, column: str, values: Sequence[int | None]) -> set[int]:
    """Which of these values of a column some document has."""
    rows = connection.execute(
        f"SELECT {column} FROM documents"  # noqa: S608 - one of the table's own columns
        f" WHERE {column} IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(values).decode(),),
    )
    return {row[0] for row in rows}


def _free(connection: sqlite3.Connection, document: Staged) -> Name:
    """The best of its names that no other document has had."""
    return next(name for name in document.names() if not _is_taken(connection, name, document.key))


def _is_taken(connection: sqlite3.Connection, name: Name, key: Key) -> bool:
    rows = connection.execute(
        "SELECT source, id, revision FROM documents WHERE name_hash = ? LIMIT 2", (name.hash,)
    )
    return any(Key(*row) != key for row in rows)


def _twin(connection: sqlite3.Connection, document: Staged) -> Twin | None:
    """Another document that is the same and is delivered, or about to be."""
    rows = connection.execute(
        "SELECT source, id, revision, label, state FROM documents WHERE identity = ?"
        " AND state IN ('staged', 'delivered') LIMIT 2",
        (document.identity,),
    )
    twins = (Twin(Key(*row[:3]), row[3], State(row[4])) for row in rows)
    return next((twin for twin in twins if twin.key != document.key), None)


def _corrected(connection: sqlite3.Connection, document: Staged) -> str:
    """The label of another document of the same number that is delivered, or about to be."""
    rows = connection.execute(
        "SELECT source, id, revision, label FROM documents WHERE number_hash = ?"
        " AND state IN ('staged', 'delivered') LIMIT 2",
        (document.number_hash,),
    )
    return next((row[3] for row in rows if Key(*row[:3]) != document.key), "")


def _record(connection: sqlite3.Connection, document: Staged, name: Name, at: float) -> None:
    connection.execute(
        "UPDATE documents SET state = 'staged', staged = ?4, path = ?5, name_hash = ?6,"
        " company = ?7, kind = ?8, sha256 = ?9, size = ?10, checksum = ?11, warnings = ?12,"
        " verified_at = ?13, changed_at = ?14, companions = ?15, identity = ?16,"
        " number_hash = ?17 WHERE source = ?1 AND id = ?2 AND revision = ?3",
        (
            *columns(document.key),
            *(document.staged, name.path, name.hash, document.company, document.kind),
            *(document.sha256, document.size, document.checksum, document.warnings),
            *(document.verified_at, at, " ".join(document.companions)),
            *(document.identity, document.number_hash),
        ),
    )
