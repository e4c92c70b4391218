"""Name allocation: gives each staged document a name of its own, unless it is a duplicate.

Each SQL statement releases the interpreter's lock (GIL) and has to win it back from the event
loop, which takes longer than the statement itself; and a server is a network away. So one query for
each column finds what may collide with any document of a group, only a document that may collide is
looked up by itself, and the others are recorded together.
Nothing here touches the folders: a transaction must not wait for them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from pipeline.alternatives import alternative, first_free, name_hash, number_of
from pipeline.document import Key
from pipeline.ledger.connection import Connection
from pipeline.ledger.marks import contradict
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
from pipeline.ledger.takeover import is_retired

#: Entries of NextNumbers, at most.
CACHE_SIZE = 10_000
#: Documents of one identity with which a document is compared, at most.
MAX_COMPARED = 1000


class NextNumbers:
    """LRU cache of the next alternative's number of each name that several documents asked for.

    A number that is not cached is found from the ledger, by few queries.
    """

    def __init__(self) -> None:
        self._next: OrderedDict[int, int] = OrderedDict()

    def get(self, name: int) -> int:
        """The lowest number that may be free, of the name with this hash."""
        return self._next.get(name, 1)

    def set_used(self, name: int, number: int) -> None:
        """Record that this number, and with it all lower ones, is in use."""
        self._next[name] = number + 1
        self._next.move_to_end(name)
        if len(self._next) > CACHE_SIZE:
            self._next.popitem(last=False)


def allocate(
    documents: Sequence[Staged],
    at: float,
    node: str,
    numbers: NextNumbers,
    connection: Connection,
) -> list[Allocation]:
    """Allocate a name that no other document has had to each of a group, and record it as staged.

    Runs within the transaction that is open. A document that gets no name is not recorded. One that
    is staged under the very same temporary file has its name from an earlier call, whose answer was
    lost, and keeps it. node: by which one they are staged.
    """
    if node and documents and is_retired(documents[0].staged, connection):
        # Its leftovers are being removed: whoever does that takes this process for a dead one.
        return [_own(connection, one) or Unrecorded(None) for one in documents]
    names = [alternative(document.path, document.first) for document in documents]
    hashes = [name_hash(name) for name in names]
    taken = _existing(connection, "name_hash", hashes)
    identities = _existing(connection, "identity", [one.identity for one in documents])
    known_numbers = _existing(connection, "number_hash", [one.number_hash for one in documents])
    allocations: list[Allocation] = []
    recorder = _Recorder(connection, at, node, allocations)
    for document, name, hash_ in zip(documents, names, hashes, strict=True):
        has_number = document.number_hash in known_numbers
        if hash_ in taken or has_number or document.identity in identities:
            # What is looked up now has to see all that went before.
            recorder.flush()
        original = _original(connection, document) if document.identity in identities else None
        if original is not None and not document.may_repeat:
            allocations.append(_own(connection, document) or original)
            continue
        allocated = AllocatedName(name, document.first)
        if hash_ in taken:
            allocated = _free_name(connection, document.key, document.path, document.first, numbers)
            hash_ = name_hash(allocated.path)  # noqa: PLW2901 - of the name that it gets
        repeats = original.label if original else ""
        corrects = _same_number(connection, document) if has_number and not original else ""
        recorder.add(
            document, AllocatedName(allocated.path, allocated.number, corrects, repeats), hash_
        )
        # The rest of the group has to see them as taken.
        taken.add(hash_)
        if document.identity is not None:
            identities.add(document.identity)
        if document.number_hash is not None:
            known_numbers.add(document.number_hash)
    recorder.flush()
    return allocations


def reallocate(
    documents: Sequence[NameTaken], at: float, numbers: NextNumbers, connection: Connection
) -> list[AllocatedName | None]:
    """Allocate another name to each staged document, within the transaction that is open.

    One whose name is another than the one that was found taken has it from another node, or from an
    earlier call, whose answer was lost, and keeps it. None for one that is not staged under its
    temporary file any more.
    """
    names: list[AllocatedName | None] = []
    for one in documents:
        allocated = _name_of(connection, one.key, one.staged, one.path)
        if allocated is not None and allocated.path == one.taken:
            allocated = _free_name(connection, one.key, one.path, one.first, numbers)
            updated = connection.execute(
                "UPDATE documents SET path = ?4, name_hash = ?5, changed_at = ?6 WHERE source = ?1"
                " AND id = ?2 AND revision = ?3 AND state = 'staged' AND staged = ?7 AND path = ?8",
                (
                    *columns(one.key),
                    *(allocated.path, name_hash(allocated.path), at, one.staged, one.taken),
                ),
            )
            if updated.rowcount != 1:
                allocated = _name_of(connection, one.key, one.staged, one.path)
        names.append(allocated)
    return names


def _existing(connection: Connection, column: str, values: Sequence[int | None]) -> set[int]:
    """Those of the values that some document has in this column."""
    known = [value for value in values if value is not None]
    if not known:
        return set()
    dialect = connection.dialect
    sql = f"SELECT {column} FROM documents WHERE {dialect.among(column)}"  # noqa: S608 - a column of the table
    return {row[0] for row in connection.execute(sql, (dialect.listed(known),))}


def _free_name(
    connection: Connection, key: Key, path: str, first: int, numbers: NextNumbers
) -> AllocatedName:
    """An alternative of a name, from a number on, that no other document has had."""

    def is_taken(number: int) -> bool:
        rows = connection.execute(
            "SELECT source, id, revision FROM documents WHERE name_hash = ? LIMIT 2",
            (name_hash(alternative(path, number)),),
        )
        return any(Key(*row) != key for row in rows)

    name = name_hash(path)
    number = first_free(is_taken, max(first, numbers.get(name)))
    numbers.set_used(name, number)
    return AllocatedName(alternative(path, number), number)


def _original(connection: Connection, document: Staged) -> Duplicate | None:
    """Another document that is the same and is staged or delivered, if there is one."""
    rows = connection.execute(
        "SELECT source, id, revision, label, state, marks FROM documents WHERE identity = ?"
        " AND state IN ('staged', 'delivered') LIMIT ?",
        (document.identity, MAX_COMPARED),
    )
    for *key, label, state, marks in rows:
        if Key(*key) != document.key and not contradict(marks, document.marks):
            return Duplicate(Key(*key), label, State(state))
    return None


def _same_number(connection: Connection, document: Staged) -> str:
    """The label of another document of this number that is staged or delivered; else empty."""
    rows = connection.execute(
        "SELECT source, id, revision, label FROM documents WHERE number_hash = ?"
        " AND state IN ('staged', 'delivered') LIMIT 2",
        (document.number_hash,),
    )
    return next((row[3] for row in rows if Key(*row[:3]) != document.key), "")


class _Recorder:
    """Records documents as staged, as many by one statement as nothing is looked up between.

    allocations: what each document gets is appended, and replaced where it can't be recorded.
    """

    def __init__(
        self, connection: Connection, at: float, node: str, allocations: list[Allocation]
    ) -> None:
        self._connection = connection
        self._at = at
        self._node = node
        self._allocations = allocations
        #: Documents that are not recorded yet, with their places in the allocations.
        self._pending: list[tuple[int, Staged]] = []
        self._rows: list[tuple[object, ...]] = []

    def add(self, document: Staged, allocated: AllocatedName, hash_: int) -> None:
        """Record a document under a name, no later than at the next flush()."""
        self._pending.append((len(self._allocations), document))
        self._allocations.append(allocated)
        self._rows.append(
            (
                *columns(document.key),
                *(document.staged, allocated.path, hash_, document.company, document.kind),
                *(document.sha256, document.size, document.checksum, document.warnings),
                *(document.verified_at, self._at, " ".join(document.sidecars)),
                *(document.identity, document.number_hash, document.marks, document.details),
                self._node,
            )
        )

    def flush(self) -> None:
        """Record what is not recorded yet, unless its row is missing, staged or delivered."""
        if not self._rows:
            return
        updated = self._connection.executemany(
            "UPDATE documents SET state = 'staged', staged = ?4, path = ?5, name_hash = ?6,"
            " company = ?7, kind = ?8, sha256 = ?9, size = ?10, checksum = ?11, warnings = ?12,"
            " verified_at = ?13, changed_at = ?14, companions = ?15, identity = ?16,"
            " number_hash = ?17, marks = ?18, details = ?19, node = ?20 WHERE source = ?1"
            " AND id = ?2 AND revision = ?3 AND state NOT IN ('staged', 'delivered')",
            self._rows,
        )
        if updated.rowcount != len(self._rows):
            self._look_up()
        updated.close()
        self._pending.clear()
        self._rows.clear()

    def _look_up(self) -> None:
        """Find out which documents were not recorded, and why."""
        for place, document in self._pending:
            hoped = self._allocations[place]
            assert isinstance(hoped, AllocatedName)
            own = _own(self._connection, document, hoped.corrects, hoped.repeats)
            self._allocations[place] = own or Unrecorded(_state(self._connection, document.key))


def _own(
    connection: Connection, document: Staged, corrects: str = "", repeats: str = ""
) -> AllocatedName | None:
    """The name under which a document is staged with this very temporary file, if it is."""
    name = _name_of(connection, document.key, document.staged, document.path)
    return name and AllocatedName(name.path, name.number, corrects, repeats)


def _name_of(connection: Connection, key: Key, staged: str, preferred: str) -> AllocatedName | None:
    """The name of a document that is staged under a temporary file; None if it is not."""
    row = connection.execute(
        "SELECT path FROM documents WHERE source = ?1 AND id = ?2 AND revision = ?3"
        " AND state = 'staged' AND staged = ?4",
        (*columns(key), staged),
    ).fetchone()
    return AllocatedName(row[0], number_of(row[0], preferred)) if row is not None else None


def _state(connection: Connection, key: Key) -> State | None:
    row = connection.execute(
        "SELECT state FROM documents WHERE source = ?1 AND id = ?2 AND revision = ?3", columns(key)
    ).fetchone()
    return State(row[0]) if row else None
