"""PostgreSQL settings: refuses a server that would not keep what it says it has committed.

A document becomes visible after the ledger has recorded it as staged. If the server forgets such a
row, by a power cut or by a standby that takes over without it, the document is delivered twice.
"""

from __future__ import annotations

from pipeline.ledger.postgres_connection import PostgresConnection, connect
from pipeline.ledger.postgres_errors import Unsuitable

#: The oldest version that is supported, as PostgreSQL counts (130000 is 13.0).
OLDEST = 130_000
#: Names under which programs take the server's log to keep it, and never take over from it.
_ARCHIVES = ("receivewal", "basebackup", "receive_wal", "archiv", "backup")

_ASKED = """
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
    current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
    current_setting('fsync'), current_setting('full_page_writes'),
    pg_is_in_recovery(), current_setting('transaction_read_only'),
    current_setting('server_encoding'), pg_backend_pid()
"""
_STANDBYS = """
SELECT application_name FROM pg_stat_replication
    WHERE state = 'streaming' AND sync_state = 'async' ORDER BY 1
"""


def check_settings(connection: PostgresConnection, dsn: str) -> None:
    """Raise Unsuitable for a server that can't hold a ledger; what it may change later is pinned.

    dsn: by which it was connected. Raises also what psycopg does.
    """
    found = connection.execute(_ASKED).fetchone()
    assert found is not None
    number, version, commit, standbys, fsync, full_pages, recovering, read_only, encoding, pid = (
        found
    )
    if number < OLDEST:
        raise Unsuitable(
            f"PostgreSQL {version} is too old", f"Use version {OLDEST // 10_000} or a later one"
        )
    if encoding != "UTF8":
        raise Unsuitable(
            f"the database holds texts as {encoding}, which has not all characters",
            "Create it with ENCODING 'UTF8'",
        )
    if recovering or read_only == "on":
        raise Unsuitable(
            "PostgreSQL takes no changes: it is a standby, or set to be read only",
            "Name the primary server in the dsn of [cluster]",
        )
    for name, value in (("fsync", fsync), ("full_page_writes", full_pages)):
        if value != "on":
            raise Unsuitable(
                f"PostgreSQL runs with {name} = {value}: a power cut may destroy the ledger",
                f"Set {name} = on in its postgresql.conf, and restart it",
            )
    _check_commit(commit, standbys)
    _check_standbys(connection)
    if pid != connection.backend:
        _check_pooler(connection, dsn)
    # A server whose file is edited would change it in the middle.
    connection.execute(f"SET synchronous_commit = {commit}")


def _check_commit(commit: str, standbys: str) -> None:
    """Refuse commits that the server, or a standby that takes over from it, may forget."""
    if commit == "off":
        raise Unsuitable(
            "PostgreSQL runs with synchronous_commit = off, so that a power cut takes back what it"
            " has committed, and documents would be delivered twice",
            "Set synchronous_commit = on for this database or in its postgresql.conf",
        )
    if commit in ("local", "remote_write") and standbys.strip():
        raise Unsuitable(
            f"PostgreSQL runs with synchronous_commit = {commit} beside a standby, which may take"
            " over without what was committed, so that documents would be delivered twice",
            "Set synchronous_commit = on for this database or in its postgresql.conf",
        )


def _check_standbys(connection: PostgresConnection) -> None:
    """Refuse a standby that follows as it can: it would take over without the latest commits."""
    names = [str(name) for (name,) in connection.execute(_STANDBYS).fetchall()]
    late = [one for one in names if not any(part in one.lower() for part in _ARCHIVES)]
    if late:
        raise Unsuitable(
            f"a standby of PostgreSQL is not synchronous ({', '.join(late)}): where it takes over,"
            " documents would be delivered twice",
            "Name it in synchronous_standby_names, or have it take the log from an archive",
        )


def _check_pooler(connection: PostgresConnection, dsn: str) -> None:
    """Refuse a pooler that gives one session of the server to several clients in turn.

    Another client, while this one is connected, gets a session of its own, or else this one's.
    """
    with_another = connect(dsn, "synqup: is a session shared?")
    try:
        sessions = {
            one.execute("SELECT pg_backend_pid()").fetchone() for one in (connection, with_another)
        }
    finally:
        with_another.close()
    if len(sessions) == 1:
        raise Unsuitable(
            "the dsn of [cluster] leads to a pooler that shares sessions (transaction pooling)",
            "Name the server itself in the dsn, or a pool of the pooler with pool_mode = session",
        )
