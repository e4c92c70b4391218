"""Takeover: what the ledger of several nodes holds so that any of them may finish a delivery.

Each function runs in a transaction of the writer (Ledger.change), and may be applied twice: the
answer to its commit may be lost.

`volumes` says where the temporary files of a folder lie, and what is written in the marker there.
`retired` holds the marks of processes whose leftovers are removed: nothing that bears one of them
is staged any more. The column `node` of a staged document is the node that staged it; once another
process has begun to resume it, a slash and the mark of that process follow its node; a slash alone
once the node can't finish it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from pipeline.document import Key
from pipeline.ledger.connection import Connection
from pipeline.ledger.models import Unfinished, columns

#: Values of one query, at most.
PAGE_SIZE = 500
#: Neighbours of a folder on either side, at most: some of them may have been removed by people.
NEIGHBOURS = 8


class Volume(Struct, frozen=True):
    """Where the temporary files of a folder lie, and what the marker there says."""

    place: str
    uuid: str


def mark_of(staged: str) -> str:
    """The mark of the process that made a temporary file; "" if it bears none."""
    parts = staged.replace("\\", "/").rpartition("/")[2].split("-")
    return parts[1] if len(parts) > 2 else ""


def node_of(row: Unfinished) -> str:
    """The node that has a staged document in hand: that has staged it, or resumes it.

    "" if nobody has, so that it is for whoever comes.
    """
    node, slash, mark = row.node.partition("/")
    return "" if slash and not mark else node


def volumes(folders: Collection[str], connection: Connection) -> dict[str, Volume]:
    """Those of the folders that are known."""
    found: dict[str, Volume] = {}
    wanted = list(folders)
    for some in (wanted[start : start + PAGE_SIZE] for start in range(0, len(wanted), PAGE_SIZE)):
        rows = connection.execute(
            "SELECT folder, place, uuid FROM volumes"  # noqa: S608 - question marks only
            f" WHERE folder IN ({', '.join('?' * len(some))})",
            some,
        )
        found.update({row[0]: Volume(row[1], row[2]) for row in rows})
    return found


def uuid_of(place: str, connection: Connection) -> str:
    """What the marker of a place of temporary files has to say; "" if the place is not known."""
    row = connection.execute("SELECT uuid FROM volumes WHERE place = ? LIMIT 1", (place,))
    return "".join(row.fetchone() or ("",))


def neighbours(folder: str, within: str, connection: Connection) -> list[Volume]:
    """Places of the folders that are known within another one, the nearest by name.

    within: with a separator at its end. What shares most of its path with the folder is among them.
    """
    end = within[:-1] + chr(ord(within[-1]) + 1)
    found: dict[str, Volume] = {}
    for sql, parameters in (
        ("folder < ?1 AND folder > ?2 ORDER BY folder DESC", (folder, within)),
        ("folder > ?1 AND folder < ?2 ORDER BY folder", (folder, end)),
    ):
        rows = connection.execute(
            f"SELECT place, uuid FROM volumes WHERE {sql} LIMIT {NEIGHBOURS}",  # noqa: S608 - constants only
            parameters,
        )
        found.update({row[0]: Volume(row[0], row[1]) for row in rows})
    return list(found.values())


def register(found: Mapping[str, Volume], connection: Connection) -> dict[str, Volume]:
    """Record the volumes of folders, of which none may be known yet; what is true from now on.

    Whoever comes first decides. A place whose marker is known to say something else is not
    recorded, and left out.
    """
    for folder, one in found.items():
        if uuid_of(one.place, connection) in ("", one.uuid):
            connection.execute(
                "INSERT INTO volumes (folder, place, uuid) VALUES (?1, ?2, ?3)"
                " ON CONFLICT (folder) DO NOTHING",
                (folder, one.place, one.uuid),
            )
    return volumes(found, connection)


def retire(marks: Collection[str], connection: Connection) -> set[str]:
    """Let nothing be staged any more under these marks; the temporary files that rows name."""
    for mark in marks:
        connection.execute(
            "INSERT INTO retired (mark) VALUES (?) ON CONFLICT (mark) DO NOTHING", (mark,)
        )
    return {
        row[0] for row in connection.execute("SELECT staged FROM documents WHERE state = 'staged'")
    }


def is_retired(staged: str, connection: Connection) -> bool:
    """Whether nothing that bears the mark of this temporary file may be staged any more."""
    row = connection.execute("SELECT 1 FROM retired WHERE mark = ?", (mark_of(staged),))
    return row.fetchone() is not None


def claim(rows: Sequence[tuple[Key, str]], claimant: str, connection: Connection) -> dict[Key, str]:
    """Write into staged documents, (key, temporary file) each, who resumes them.

    claimant: a node, a slash, and the mark of its process. Returns the name that is allocated to
    each of those that are still staged under that file.
    """
    claimed: dict[Key, str] = {}
    for key, staged in rows:
        row = connection.execute(
            "UPDATE documents SET node = ?5 WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state = 'staged' AND staged = ?4 RETURNING path",
            (*columns(key), staged, claimant),
        ).fetchone()
        if row is not None:
            claimed[key] = row[0]
    return claimed


def give_up(
    rows: Sequence[tuple[Key, str]], holder: str, node: str, connection: Connection
) -> None:
    """Leave staged documents, (key, temporary file) each, to whichever node can finish them.

    node: the one that can't. holder: what it has written into them; what another one has begun to
    resume stays with that.
    """
    for key, staged in rows:
        connection.execute(
            "UPDATE documents SET node = ?5 WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state = 'staged' AND staged = ?4 AND node = ?6",
            (*columns(key), staged, f"{node}/", holder),
        )


def finish(rows: Sequence[tuple[Key, str]], at: float, connection: Connection) -> set[Key]:
    """Record documents as delivered, (key, temporary file) each; those that are, by whomever."""
    done: set[Key] = set()
    for key, staged in rows:
        connection.execute(
            "UPDATE documents SET state = 'delivered', staged = '', companions = '', reason = '',"
            " delivered_at = ?5, changed_at = ?5 WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state = 'staged' AND staged = ?4",
            (*columns(key), staged, at),
        )
        row = connection.execute(
            "SELECT 1 FROM documents WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state = 'delivered'",
            columns(key),
        ).fetchone()
        if row is not None:
            done.add(key)
    return done


def release(
    rows: Sequence[tuple[Key, str, str]], node: str, at: float, connection: Connection
) -> set[Key]:
    """Let documents be fetched again whose temporary files this process misses, and nobody else.

    rows: (key, temporary file, reason) each, staged by this process. One that another has begun to
    resume stays as it is: who has it in hand may have given it its name. Returns those that are
    not staged under that file any more.
    """
    released: set[Key] = set()
    for key, staged, reason in rows:
        connection.execute(
            "UPDATE documents SET state = 'waiting', staged = '', companions = '',"
            " name_hash = NULL, identity = NULL, number_hash = NULL, reason = ?6, changed_at = ?5,"
            " poll = coalesce((SELECT poll FROM sources WHERE name = ?1), 0)"
            " WHERE source = ?1 AND id = ?2 AND revision = ?3 AND state = 'staged'"
            " AND staged = ?4 AND node = ?7",
            (*columns(key), staged, at, reason, node),
        )
        row = connection.execute(
            "SELECT 1 FROM documents WHERE source = ?1 AND id = ?2 AND revision = ?3"
            " AND state = 'staged' AND staged = ?4",
            (*columns(key), staged),
        ).fetchone()
        if row is None:
            released.add(key)
    return released
