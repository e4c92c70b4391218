"""The PostgreSQL server of the tests: fresh databases, and what a kill leaves of it."""

from __future__ import annotations

import pytest

from tests.helpers.postgres import running_postgres

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (the extra 'cluster')")


def test_each_test_has_a_fresh_database(postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        connection.execute("CREATE TABLE one (a int)")
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_what_is_committed_survives_a_kill() -> None:
    with running_postgres() as server, server.database() as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE one (a int)")
            connection.execute("INSERT INTO one VALUES (1)")
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        server.start()
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT a FROM one").fetchone() == (1,)
