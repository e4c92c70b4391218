"""Shared marker: tells the folder that all nodes share from any other, and from a bare mount point.

The id of the folder lies in it and in the database. A node that sees another one, or none, works
with no sign-in and no quarantine of the others, so it does not begin.
"""

from __future__ import annotations

import secrets
from io import BytesIO
from pathlib import Path

from pipeline.cluster.database import Connection, Database
from pipeline.durable import replace_file
from pipeline.errors import StateError
from pipeline.files import os_reason, read_file
from pipeline.shared_mount import MARKER

#: Bytes of the file with the id, at most.
MAX_BYTES = 100

_LOCK = 0x53796E05
_TABLE = """
CREATE TABLE IF NOT EXISTS cluster_shared (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), id text NOT NULL
)"""


def compare_marker(folder: Path, database: Database) -> None:
    """Compare, and write nothing. StateError if it is not the folder of the other nodes.

    RetryableError if the database can't be reached.
    """
    _compare(folder, _marker(folder), database.run(_known))


def claim_marker(folder: Path, database: Database) -> None:
    """As compare_marker(); the first node makes the marker."""

    def work(connection: Connection) -> tuple[str, str]:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        known, found = _known(connection), _marker(folder)
        if not known:
            if _has_no_table(connection):
                connection.execute(_TABLE)
            if not found:
                found = secrets.token_hex(16)
                _write(folder, found)
            connection.execute("INSERT INTO cluster_shared (id) VALUES (%s)", (found,))
            known = found
        return found, known

    _compare(folder, *database.run(work))


def _compare(folder: Path, found: str, known: str) -> None:
    if known and found != known:
        raise StateError(
            str(folder),
            "this is not the folder that the other nodes share",
            "Mount that one here, and see shared_dir in [cluster]; which one it is its file"
            " .synqup-shared tells, which has to be put back with the folder",
        )


def _known(connection: Connection) -> str:
    if _has_no_table(connection):
        return ""
    row = connection.execute("SELECT id FROM cluster_shared").fetchone()
    return str(row[0]) if row is not None else ""


def _has_no_table(connection: Connection) -> bool:
    return connection.execute("SELECT to_regclass('cluster_shared')").fetchone() == (None,)


def _marker(folder: Path) -> str:
    """The id that lies in the folder; "" if none does."""
    if not folder.is_dir():
        raise StateError(
            str(folder),
            "the folder that the nodes share is not there",
            "Mount it; for the first node, make it",
        )
    try:
        return read_file(folder / MARKER, MAX_BYTES).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _unusable(folder, error) from None


def _write(folder: Path, id_: str) -> None:
    try:
        replace_file(folder / MARKER, BytesIO(f"{id_}\n".encode()), 0o640)
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> StateError:
    return StateError(
        str(folder),
        f"the folder that the nodes share can't be used ({os_reason(error)})",
        "Let the account that runs synqup read and write there",
    )
