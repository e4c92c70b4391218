"""Schema migration: brings a ledger of an earlier version to the current one, all or nothing.

The steps themselves are in `schema`. The order is: check the old ledger, keep a copy of it beside
it (`ledger.sqlite.v1` for one of version 1), run all steps in one transaction, check the result,
commit. Whatever stops that before the commit (an error, a full disk, a kill, a power cut) leaves
the old ledger as it was, and the next start begins anew.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import structlog

from pipeline.durable import flush_folder
from pipeline.errors import StateError
from pipeline.ledger.schema import MIGRATIONS, VERSION
from pipeline.ledger.sqlite_errors import check_structure, is_damage, is_recoverable

log = structlog.get_logger(__name__)


def migrate(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Migrate the open ledger at a path from an earlier version; durable on return.

    Raises OSError, or sqlite3.Error when something outside refuses or the old ledger is damaged;
    StateError when a step fails, or the migrated ledger does not pass SQLite's integrity check.
    """
    check_structure(connection)
    copy = _keep_copy(connection, path, version)
    steps = "".join(MIGRATIONS[step] for step in range(version, VERSION))
    try:
        # executescript() commits what is open before it, so the script has to begin by itself.
        connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION};")
        _check_migrated(connection)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        if is_recoverable(error) or is_damage(error):
            raise
        # Never a reason to begin a new ledger: the old one is sound, and the step is at fault.
        raise StateError(
            str(path),
            f"the ledger can't be migrated from version {version} to {VERSION} ({error})",
            "Install the version of synqup that you had before, and send this line to support;"
            " the ledger is unchanged",
        ) from None
    log.info("ledger migrated", version=VERSION, before=version, kept_as=str(copy))


def _keep_copy(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """Copy a ledger durably to the name of its version, in place of an earlier copy; the name."""
    copy = path.with_name(f"{path.name}.v{version}")
    part = copy.with_name(f"{copy.name}.part")
    try:
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(part)) as target:
            # The read transaction comes first because backup() waits for a lock without a timeout.
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sources").fetchone()
            connection.backup(target)
            connection.execute("COMMIT")
        part.chmod(0o640)
        part.replace(copy)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)
    return copy


def _check_migrated(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.IntegrityError when the migrated ledger, not yet committed, is not sound."""
    result = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if result != "ok":
        raise sqlite3.IntegrityError(f"integrity check: {result}")
