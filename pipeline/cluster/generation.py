"""Generation: a count in the database and in the shared folder, by which an older database is seen.

A database that was put back from a backup, or a standby that took over too late, has forgotten what
was delivered since. The count is raised in the database first, then in the folder: so only a
database that is older is behind the folder, and never one whose folder was put back, or a node that
has died between the two. Each start raises it, and then one of the nodes, once in an interval.
"""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from pipeline.cluster.database import SUBJECT, Connection, Database
from pipeline.cluster.shared_marker import claim_marker
from pipeline.durable import flush_folder, replace_file
from pipeline.errors import StateError
from pipeline.files import os_reason, read_file
from pipeline.shared_mount import ensure_mounted

log = structlog.get_logger(__name__)

#: The file in the shared folder; and one beside it where running nodes have seen the database go
#: back, which no raise may take away.
NAME, WENT_BACK = ".synqup-generation", ".synqup-older"
#: Bytes of it, at most.
MAX_BYTES = 10_000
#: Seconds between two raises while nodes run.
INTERVAL = 60.0

_RAISE = (
    "UPDATE cluster_generation SET number = greatest(number, {number}) + 1, at = now()"
    " WHERE at <= now() - {age} * interval '1 s' OR at > now()"
    " RETURNING number, extract(epoch FROM at)::float8"
)


class Generation(Struct, frozen=True):
    """A count, and when it was raised, in seconds since 1970 by the database."""

    number: int = 0
    at: float = 0.0


class DatabaseOlder(StateError):
    """The database is older than one with which nodes have worked."""

    reason = (
        "it went back to an earlier state while nodes were at work, as where a standby takes over"
        " that had not received all of it: what was delivered since, and not acknowledged to the"
        " platform, comes once more"
    )
    remedy = (
        "Put back the newer one; or, if it is lost, say so once: synqup cluster accept, and compare"
        " the folders of that time"
    )


def compare_generation(folder: Path, database: Database) -> None:
    """Raise DatabaseOlder where the database is behind the folder; nothing is changed.

    DatabaseLost, or StateError, where that can't be found out.
    """
    # The folder first: what is raised meanwhile is raised in the database before.
    in_folder = _read(folder)
    in_database = database.run(_known)
    if in_folder.number > in_database.number:
        raise DatabaseOlder(SUBJECT, _sentence(in_database, in_folder))
    if (folder / WENT_BACK).exists():
        raise DatabaseOlder(
            SUBJECT,
            remedy=f"Put back the newer one, and remove {folder / WENT_BACK}; or, if it is lost,"
            " say so once: synqup cluster accept, and compare the folders of that time",
        )


def begin_generation(folder: Path, database: Database) -> None:
    """Raise the count for a node that starts, with the folder of all nodes; errors as before."""
    claim_marker(folder, database)
    compare_generation(folder, database)
    _raise(folder, database, age=0.0)


def go_on_with_generation(folder: Path, database: Database) -> None:
    """Raise the count, unless another node has done so within the interval; errors as before.

    OSError where the folder is away.
    """
    ensure_mounted(folder)
    compare_generation(folder, database)
    _raise(folder, database, age=INTERVAL)


def note_older(folder: Path) -> None:
    """Note for all starts to come that the database has gone back. OSError, StateError."""
    ensure_mounted(folder)
    _replace(folder / WENT_BACK, b"See synqup cluster accept.\n")


def accept_generation(folder: Path, database: Database, statement: str) -> bool:
    """Let nodes go on with an older database; False if it is none, and nothing is changed.

    statement: what is changed in the same transaction. Errors as of compare_generation().
    """
    claim_marker(folder, database)
    in_folder = _read(folder)

    def work(connection: Connection) -> Generation:
        connection.execute(statement.encode())
        sql = _RAISE.format(number=in_folder.number, age=-1)
        return _first(connection, sql)

    try:
        compare_generation(folder, database)
    except DatabaseOlder:
        _write(folder, database.run(work))
        _remove(folder / WENT_BACK)
        return True
    return False


def known_number(connection: Connection) -> int:
    """The count in a database; it never falls, unless the database is an older one."""
    return _known(connection).number


def _raise(folder: Path, database: Database, age: float) -> None:
    """Raise the count in both, if it was not raised for so many seconds."""
    sql = _RAISE.format(number=0, age=age)
    raised = database.run(lambda connection: _first(connection, sql))
    # Where another node was faster, the folder has a higher one, and keeps it. Should both write at
    # once, the lower one may stay until the next raise: that says less, and nothing wrong.
    if raised.number > _read(folder).number:
        _write(folder, raised)


def _first(connection: Connection, sql: str) -> Generation:
    row = connection.execute(sql.encode()).fetchone()
    return Generation(*row) if row is not None else Generation()


def _known(connection: Connection) -> Generation:
    if connection.execute("SELECT to_regclass('cluster_generation')").fetchone() == (None,):
        return Generation()
    sql = "SELECT number, extract(epoch FROM at)::float8 FROM cluster_generation"
    return _first(connection, sql)


def _read(folder: Path) -> Generation:
    try:
        return msgspec.json.decode(read_file(folder / NAME, MAX_BYTES), type=Generation)
    except FileNotFoundError:
        return Generation()
    except msgspec.DecodeError as error:
        log.warning("the generation of the shared folder can't be read", reason=str(error))
        return Generation()
    except OSError as error:
        raise _unusable(folder / NAME, error) from None


def _write(folder: Path, generation: Generation) -> None:
    _replace(folder / NAME, msgspec.json.encode(generation) + b"\n")


def _replace(path: Path, content: bytes) -> None:
    try:
        replace_file(path, BytesIO(content), 0o640)
    except OSError as error:
        raise _unusable(path, error) from None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        flush_folder(path.parent)
    except OSError as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: OSError) -> StateError:
    return StateError(
        str(path),
        f"the generation of the database can't be kept there ({os_reason(error)})",
        "Let the account that runs synqup read and write there",
    )


def _sentence(in_database: Generation, in_folder: Generation) -> str:
    here = f"of {_when(in_database.at)}" if in_database.number else "new"
    return (
        f"it is {here} (generation {in_database.number:,}), and nodes have worked with one of"
        f" {_when(in_folder.at)} (generation {in_folder.number:,}), as {NAME} in shared_dir says:"
        " what was delivered since, and not acknowledged to the platform, comes once more"
    )


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
