"""A server that would forget what it has committed is refused, with the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from pipeline.errors import StateError
from pipeline.ledger.place import PostgresPlace, open_store
from pipeline.ledger.schema import VERSION
from tests.helpers.ledgers import psycopg_of, query
from tests.helpers.postgres import OwnServer, PostgresServer, running_postgres

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra 'cluster')")

from pipeline.ledger import postgres_settings


@pytest.fixture(scope="module")
def own_server() -> Iterator[OwnServer]:
    """A server whose settings are changed by the tests, one after the other."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def server(own_server: OwnServer) -> Iterator[OwnServer]:
    yield own_server
    own_server.execute("ALTER SYSTEM RESET ALL")
    own_server.reload()


def opened(dsn: str) -> None:
    open_store(PostgresPlace(dsn), "n1").close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"synchronous_commit": "off"}, r"synchronous_commit = off.*twice.*Set synchronous_commit"),
        ({"fsync": "off"}, r"fsync = off.*power cut.*Set fsync = on"),
        ({"full_page_writes": "off"}, r"full_page_writes = off.*Set full_page_writes = on"),
        (
            {"synchronous_commit": "local", "synchronous_standby_names": "'other'"},
            r"synchronous_commit = local beside a standby",
        ),
        (
            {"synchronous_commit": "remote_write", "synchronous_standby_names": "'other'"},
            r"synchronous_commit = remote_write beside a standby",
        ),
        ({"default_transaction_read_only": "on"}, r"read only\. Name the primary"),
    ],
)
def test_a_server_that_forgets_is_refused(
    server: OwnServer, settings: dict[str, str], words: str
) -> None:
    with server.database() as dsn:
        opened(dsn)
        for name, value in settings.items():
            server.execute(f"ALTER SYSTEM SET {name} = {value}")
        server.reload()
        with pytest.raises(StateError, match=words) as refused:
            opened(dsn)
        assert "then start again" in str(refused.value)


@pytest.mark.parametrize("commit", ["local", "remote_write", "remote_apply", "on"])
def test_without_a_standby_what_is_flushed_here_is_enough(server: OwnServer, commit: str) -> None:
    with server.database() as dsn:
        server.execute(f"ALTER SYSTEM SET synchronous_commit = {commit}")
        server.reload()
        opened(dsn)


def test_what_is_set_for_a_database_or_an_account_counts(postgres: str) -> None:
    name = postgres.rpartition("dbname=")[2]
    with closing(psycopg_of(PostgresPlace(postgres))) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(StateError, match="synchronous_commit = off"):
        opened(postgres)


def test_an_edit_of_the_server_does_not_change_a_session(server: OwnServer) -> None:
    with server.database() as dsn, closing(open_store(PostgresPlace(dsn))) as store:
        server.execute("ALTER SYSTEM SET synchronous_commit = off")
        server.reload()
        connection = store.begin(durable=True, reading=True)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_an_old_server_is_refused(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_settings, "OLDEST", 990_000)
    with pytest.raises(StateError, match=r"is too old\. Use version 99 or a later one"):
        opened(postgres)


def test_a_database_of_few_characters_is_refused(postgres_server: PostgresServer) -> None:
    postgres_server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        with pytest.raises(StateError, match=r"LATIN1.*ENCODING 'UTF8'"):
            opened(postgres_server.dsn("latin"))
    finally:
        postgres_server.execute("DROP DATABASE latin WITH (FORCE)")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"port": "1"}, r"can't be reached.*Start the server"),
        ({"dbname": "none"}, r"refuses the sign-in.*Correct the user"),
        ({"user": "nobody"}, r"refuses the sign-in.*Correct the user"),
        ({"host": "no.such.host.invalid"}, r"can't be reached"),
        ({"sslmode": "nonsense"}, r"can't be (reached|opened)"),
    ],
)
def test_what_can_not_be_reached_is_said(postgres: str, change: dict[str, str], words: str) -> None:
    parts = dict(part.split("=") for part in postgres.split()) | change
    with pytest.raises(StateError, match=words) as refused:
        opened(" ".join(f"{key}={one}" for key, one in parts.items()) + " password=geheim")
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "geheim",
        "postgresql://jan:geheim@[",
        "host=a password='geheim",
        "postgresql://jan:geheim%zz@host/db",
    ],
)
def test_a_connection_string_that_is_none_is_said_and_not_repeated(dsn: str) -> None:
    for look in (lambda: opened(dsn), lambda: query(PostgresPlace(dsn), "SELECT 1")):
        with pytest.raises(StateError, match=r"no connection string.*Write it like") as refused:
            look()
        assert "geheim" not in str(refused.value)


def test_tables_of_another_program_are_left_alone(postgres: str) -> None:
    with closing(psycopg_of(PostgresPlace(postgres))) as connection:
        connection.execute("CREATE TABLE sources (a int)")
    with pytest.raises(StateError, match=r"another program.*database of its own"):
        opened(postgres)
    with closing(psycopg_of(PostgresPlace(postgres))) as connection:
        tables: list[Any] = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        assert tables == [("sources",)]


def test_a_newer_ledger_is_refused(postgres: str) -> None:
    place = PostgresPlace(postgres)
    opened(postgres)
    assert query(place, "SELECT version FROM ledger_version") == [(VERSION,)]
    with closing(psycopg_of(place)) as connection:
        connection.execute(f"UPDATE ledger_version SET version = {VERSION + 1}")
    for look in (lambda: opened(postgres), lambda: query(place, "SELECT 1")):
        with pytest.raises(StateError, match=r"newer synqup \(version .*Install that version"):
            look()


def test_an_account_without_rights_is_told(postgres_server: PostgresServer, postgres: str) -> None:
    postgres_server.execute("CREATE ROLE guest LOGIN")
    try:
        with pytest.raises(StateError, match=r"may not do that.*owner"):
            opened(postgres.replace("user=synqup", "user=guest"))
    finally:
        postgres_server.execute("DROP ROLE guest")


def test_a_standby_that_follows_as_it_can_is_refused() -> None:
    with running_postgres() as server, server.database() as dsn, server.standby("late") as standby:
        with pytest.raises(
            StateError, match=r"not synchronous \(late\).*synchronous_standby_names"
        ):
            opened(dsn)
        server.execute("ALTER SYSTEM SET synchronous_standby_names = 'late'")
        server.reload()
        server.wait_for("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
        opened(dsn)
        name = dsn.rpartition("dbname=")[2]
        with pytest.raises(StateError, match=r"it is a standby.*Name the primary"):
            opened(standby.dsn(name))


def test_one_that_keeps_the_log_is_no_standby(own_server: OwnServer) -> None:
    with own_server.database() as dsn, own_server.log_receiver():
        opened(dsn)


def test_a_pooler_that_shares_sessions_is_refused(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PgBouncer does it: the client is told another process than the one that works for it."""
    from pipeline.ledger.postgres_connection import PostgresConnection  # noqa: PLC0415 - an extra

    monkeypatch.setattr(PostgresConnection, "backend", property(lambda _: -1))
    # Each has a session of its own: the pooler may stay.
    opened(postgres)
    asked = PostgresConnection.execute

    def shared(self: PostgresConnection, sql: str, *more: Any) -> Any:
        return asked(self, "SELECT 7" if sql == "SELECT pg_backend_pid()" else sql, *more)

    monkeypatch.setattr(PostgresConnection, "execute", shared)
    with pytest.raises(StateError, match=r"transaction pooling.*pool_mode = session"):
        opened(postgres)
