"""A database that is put back from an earlier state is used by no node until somebody says so.

The platform lists for ever what was delivered, so that what the database has forgotten comes again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

pytest.importorskip("psycopg")

from psycopg.conninfo import conninfo_to_dict

from pipeline.ledger.place import PostgresPlace
from tests.helpers.ledgers import psycopg_of
from tests.helpers.postgres import PostgresServer, running_postgres
from tests.helpers.processes import Mailbox, mailbox, process, send, synqup, wait_until

pytestmark = pytest.mark.slow

OLDER = "nodes have worked with one of"


class Office:
    """A node that brings what arrives at a platform, and a second one."""

    def __init__(self, box: Mailbox, dsn: str) -> None:
        self.box = box
        self.folder = box.folder
        (self.folder / "shared").mkdir()
        text = box.config.read_text("utf-8").replace('"5m"', '"1s"')
        for name in ("one", "other"):
            own = text.replace('state_dir = "state"', f'state_dir = "state-{name}"')
            section = f'dsn = {{ file = "dsn" }}\nshared_dir = "shared"\nnode = "{name}"\n'
            (self.folder / f"{name}.toml").write_text(f"{own}\n[cluster]\n{section}", "utf-8")
        self.one, self.other = self.folder / "one.toml", self.folder / "other.toml"
        self.use(dsn)

    def use(self, dsn: str) -> None:
        (self.folder / "dsn").write_text(dsn)

    def arrived(self) -> Counter[str]:
        return Counter(sha256(path.read_bytes()).hexdigest() for path in self.box.delivered())

    def refused(self) -> None:
        """No command goes on with the database, and nothing comes."""
        before = self.arrived()
        for config in (self.one, self.other):
            for command in (("run",), ("catch-up",), ("check",), ("pause", "einvoice_be")):
                said = " ".join(synqup(*command, "--config", config, expect=1).split())
                assert "comes once more" in said, command
                assert "synqup cluster accept" in said, command
        assert self.arrived() == before


@contextmanager
def office(folder: Path, dsn: str) -> Iterator[Office]:
    options = ("--platform", "einvoice_be", "--documents", 9, "--companies", 2)
    with mailbox(folder, *options) as box:
        yield Office(box, dsn)


def copied(server: PostgresServer, dsn: str) -> str:
    """The connection string of a copy of a database, as pg_dump and pg_restore make one."""
    name = conninfo_to_dict(dsn)["dbname"]
    server.execute(f"CREATE DATABASE {name}_kept TEMPLATE {name}")
    return server.dsn(f"{name}_kept")


def test_yesterdays_database_is_refused_until_it_is_accepted(
    tmp_path: Path, postgres: str, postgres_server: PostgresServer
) -> None:
    with office(tmp_path, postgres) as it:
        # It makes the tables, and nothing has come yet.
        assert "nothing to accept" in synqup("cluster", "accept", "--config", it.one)
        kept = copied(postgres_server, postgres)
        try:
            synqup("catch-up", "--config", it.one)
            synqup("catch-up", "--config", it.other)
            before = it.arrived()
            assert before.total() == len(it.box.manifest())
            it.use(kept)
            it.refused()
            # The newer one goes on, also with the folder of before.
            it.use(postgres)
            (it.folder / "shared" / ".synqup-generation").unlink()
            synqup("catch-up", "--config", it.other)
            synqup("check", "--config", it.one)
            assert it.arrived() == before
            it.use(kept)
            said = " ".join(synqup("cluster", "accept", "--config", it.one).split())
            assert "comes once more: compare the folders of that time" in said
            assert "there is nothing to accept" in synqup("cluster", "accept", "--config", it.one)
            synqup("catch-up", "--config", it.other)
            # So it was right to refuse it.
            assert it.arrived() == before + before
            it.use(postgres)
            it.refused()
        finally:
            postgres_server.execute(
                f"DROP DATABASE {conninfo_to_dict(kept)['dbname']} WITH (FORCE)"
            )


def test_what_is_staged_in_an_accepted_database_is_fetched_again(
    tmp_path: Path, postgres: str
) -> None:
    with office(tmp_path, postgres) as it:
        synqup("catch-up", "--config", it.one)
        with closing(psycopg_of(PostgresPlace(postgres))) as connection:
            connection.execute(
                "UPDATE documents SET state = 'staged', staged = '/nowhere/x' WHERE id ="
                " (SELECT min(id) FROM documents)"
            )
            connection.execute("UPDATE cluster_generation SET number = 0")
        assert OLDER in synqup("catch-up", "--config", it.one, expect=1)
        synqup("cluster", "accept", "--config", it.one)
        synqup("catch-up", "--config", it.one)
        assert sorted(it.arrived().values()) == [1] * (it.arrived().total() - 2) + [2]


def test_a_server_that_went_back_ends_the_node_that_runs(tmp_path: Path) -> None:
    """As after a failover to a standby that had not received all."""
    with running_postgres() as server, server.database() as dsn, office(tmp_path, dsn) as it:
        synqup("catch-up", "--config", it.one)
        server.stop()
        kept = server.folder / "kept"
        shutil.copytree(server.data, kept)
        _own_as(server.data, kept)
        server.start()
        before = it.arrived()
        with process("run", "--config", it.one) as running:
            wait_until(lambda: "alive" in synqup("status", "--config", it.one))
            server.kill()
            server.data.rename(server.folder / "newer")
            kept.rename(server.data)
            server.start()
            assert running.wait(60) == 1
        it.refused()
        synqup("cluster", "accept", "--config", it.other)
        with process("run", "--config", it.one) as running:
            wait_until((it.folder / "state-one" / "control.sock").exists)
            send(running, "SIGTERM")
            assert running.wait(60) == 0
        assert it.arrived() == before


def _own_as(original: Path, copy: Path) -> None:
    """Have a copied folder belong to whoever the original does."""
    found = original.stat()
    for path in (copy, *copy.rglob("*")):
        shutil.chown(path, found.st_uid, found.st_gid)
    copy.chmod(found.st_mode & 0o777)
