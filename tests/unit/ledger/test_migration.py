"""A ledger of each version that ever was is brought forward, all of it or nothing.

`ledger_versions/NUMBER.sql` holds a ledger as that version made it, with rows in each state. A new
version gets a dump of its own; those of earlier versions stay as they are.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import pipeline
from pipeline.document import Key
from pipeline.errors import StateError
from pipeline.ledger import migration
from pipeline.ledger.database import open_database
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.models import AllocatedName, Duplicate, Staged, State
from pipeline.ledger.schema import MIGRATIONS, VERSION
from pipeline.ledger.summary import summarise
from tests.helpers.systems import posix_only

pytestmark = pytest.mark.anyio

ROOT = Path(pipeline.__file__).parents[1]
DUMPS = Path(__file__).parent / "ledger_versions"
VERSIONS = range(1, VERSION + 1)
EARLIER = range(1, VERSION)

#: The number of the last poll of "box" that the dump of a version holds; version 1 counted none.
POLLS = {1: 0, 2: 4, 3: 4, 4: 4, 5: 4, 6: 4}

#: A step that writes more than the cache holds, so that some of it reaches the disk at once.
BULKY = "CREATE TABLE filler (x); INSERT INTO filler VALUES (zeroblob(5000000));"
#: What stops a migration in the middle, as SQL after the steps: each with what the user is told.
FAULTS = {
    "a mistake in a step": ("SELECT no_such_function();", r"can't be migrated from version \d to"),
    "a broken rule": (
        "CREATE TABLE one (x PRIMARY KEY); INSERT INTO one VALUES (1), (1);",
        r"can't be migrated .*UNIQUE.* the ledger is unchanged",
    ),
    "a full disk": (
        "PRAGMA max_page_count = 1; INSERT INTO filler VALUES (zeroblob(5000000));",
        "the disk is full .* Make room",
    ),
    "a result that is not sound": (
        """PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql =
        replace(sql, 'delivered_at REAL,', 'delivered_at REAL NOT NULL,');
        PRAGMA writable_schema = RESET;""",
        "can't be migrated .*integrity check: NULL value in documents.delivered_at",
    ),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "ledger.sqlite"
    path.parent.mkdir()
    return path


def restore(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DUMPS / f"{version}.sql").read_text())


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def schema(path: Path) -> list[tuple[str, str, str, str]]:
    """All tables and indexes as their SQL has it, whatever its spaces; and the version."""
    rows = query(path, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2")
    shape = [(kind, name, table, "".join((sql or "").split())) for kind, name, table, sql in rows]
    return [*shape, ("version", *map(str, *query(path, "PRAGMA user_version")), "", "")]


def contents(path: Path) -> list[str]:
    """All that a ledger holds, as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        return [*connection.iterdump(), str(version)]


def fail_in_the_middle(monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    """Let the last step end with other SQL."""
    steps = MIGRATIONS | {VERSION - 1: f"{MIGRATIONS[VERSION - 1]} {BULKY} {sql}"}
    monkeypatch.setattr(migration, "MIGRATIONS", steps)


def no_more_than_before(path: Path, version: int, before: list[str]) -> None:
    """The old ledger is as it was, nothing else came of it, and it is migrated the next time."""
    assert contents(path) == before
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    copy = path.with_name(f"ledger.sqlite.v{version}")
    files = {one.name for one in path.parent.iterdir()}
    assert files - {f"ledger.sqlite{suffix}" for suffix in ("-wal", "-shm")} <= {
        *(path.name, copy.name, f"{copy.name}.part")
    }
    open_database(path).close()
    assert query(path, "PRAGMA user_version") == [(VERSION,)]
    assert contents(copy) == before
    assert not copy.with_name(f"{copy.name}.part").exists()


def test_there_is_a_step_and_a_dump_for_each_version() -> None:
    assert set(MIGRATIONS) == set(EARLIER)
    assert {int(dump.stem) for dump in DUMPS.iterdir()} == set(VERSIONS)
    assert set(POLLS) == set(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_dump_is_of_its_version_and_has_rows_in_each_state(path: Path, version: int) -> None:
    restore(path, version)
    assert query(path, "PRAGMA user_version") == [(version,)]
    states = {row[0] for row in query(path, "SELECT state FROM documents")}
    # A state that is added some day is in the dumps from that version on.
    assert states <= set(State)
    if version == VERSION:
        assert states == set(State)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schema_is_that_of_a_new_ledger(path: Path, tmp_path: Path, version: int) -> None:
    open_database(tmp_path / "new").close()
    restore(path, version)
    # The dump of this version has not been edited to fit.
    assert (schema(path) == schema(tmp_path / "new")) == (version == VERSION)
    open_database(path).close()
    assert schema(path) == schema(tmp_path / "new")
    columns = "SELECT m.name, c.* FROM sqlite_schema m, pragma_table_xinfo(m.name) c ORDER BY 1, 2"
    assert query(path, columns) == query(tmp_path / "new", columns)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_value_of_a_row_changes(path: Path, version: int) -> None:
    restore(path, version)
    before = {}
    for table in ("documents", "sources"):
        names = query(path, f"SELECT name FROM pragma_table_info('{table}')")
        sql = f"SELECT {', '.join(name for (name,) in names)} FROM {table} ORDER BY 1, 2, 3"
        before[sql] = query(path, sql)
    open_database(path).close()
    assert {sql: query(path, sql) for sql in before} == before
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_it_says_goes_on_being_true(path: Path, version: int) -> None:
    restore(path, version)
    staged = Key("box", "staged", "")
    correction = Key("box", "delivered", "~1")
    ids = [*State]
    for _ in range(2):
        async with open_ledger(path) as ledger:
            found = await ledger.contents("box", ids)
            states = {(id_, r): row.state for id_, rows in found.items() for r, row in rows.items()}
            assert states == {
                ("seen", ""): State.SEEN,
                ("staged", ""): State.STAGED,
                ("delivered", ""): State.DELIVERED,
                ("delivered", "~1"): State.DELIVERED,
                ("duplicate", ""): State.DUPLICATE,
                ("skipped", ""): State.SKIPPED,
                ("quarantined", ""): State.QUARANTINED,
                ("waiting", "r"): State.WAITING,
            }
            # All of it lies before the next poll that is counted.
            polls = [row.poll for rows in found.values() for row in rows.values()]
            assert max(polls) == POLLS[version]
            assert found["delivered"][""].sha256 == "b" * 64
            assert found["delivered"][""].acknowledged_at == 4.0
            assert [key for key, _ in await ledger.unacknowledged("box")] == [
                *(correction, Key("box", "duplicate", ""), Key("box", "quarantined", ""))
            ]
            (unfinished,) = await ledger.unfinished()
            assert (unfinished.key, unfinished.staged) == (staged, "/books/.synqup/a1b2")
            assert (unfinished.sidecars, unfinished.path) == (("pdf",), "/books/staged.xml")
            assert unfinished.node == ("n1" if version >= 6 else "")
    told = summarise(path)
    assert [(s.name, s.polled_at, s.error) for s in told.sources] == [
        *(("box", 9.0, "no answer"), ("other", 8.0, ""))
    ]
    assert (told.unacknowledged, len(told.quarantine), len(told.waiting)) == (3, 1, 1)
    async with open_ledger(path) as ledger:
        assert await ledger.begin_poll("box") == POLLS[version] + 1


@pytest.mark.parametrize("version", VERSIONS)
@posix_only("the dumps, of paths of POSIX, are of no ledger that was there")
async def test_names_and_identities_of_before_are_taken(path: Path, version: int) -> None:
    restore(path, version)

    def another(id_: str, name: str, identity: int) -> Staged:
        key = Key("box", id_, "")
        return Staged(key, "t/1", (), name, "B", "sales", "ab", 9, "Digest", "", 3.0, 1, identity)

    async with open_ledger(path) as ledger:
        group = [
            another("x", "/books/7.xml", 91),
            another("y", "/books/STAGED.xml", 92),
            another("z", "/books/9.xml", 12),
        ]
        await ledger.seen([(one.key, "") for one in group], 5.0)
        assert await ledger.stage(group, 6.0) == [
            AllocatedName("/books/7-3.xml", 3),
            AllocatedName("/books/STAGED-2.xml", 2),
            Duplicate(Key("box", "delivered", ""), "invoice delivered", State.DELIVERED),
        ]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_copy_of_an_earlier_version_is_kept(path: Path, version: int) -> None:
    restore(path, version)
    before = contents(path)
    with capture_logs() as logs:
        for _ in range(2):
            open_database(path).close()
    copy = path.with_name(f"ledger.sqlite.v{version}")
    told = [log["kept_as"] for log in logs if log["event"] == "ledger migrated"]
    assert told == ([str(copy)] if version < VERSION else [])
    assert copy.exists() == (version < VERSION)
    if copy.exists():
        assert contents(copy) == before
        assert os.name == "nt" or stat.S_IMODE(copy.stat().st_mode) == 0o640


@pytest.mark.parametrize("version", EARLIER)
def test_what_an_earlier_attempt_left_is_replaced(path: Path, version: int) -> None:
    restore(path, version)
    before = contents(path)
    path.with_name(f"ledger.sqlite.v{version}.part").write_bytes(b"half of a copy")
    path.with_name(f"ledger.sqlite.v{version}").write_bytes(b"an older one")
    no_more_than_before(path, version, before)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("version", EARLIER)
def test_a_migration_that_fails_leaves_the_old_ledger(
    path: Path, version: int, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql, told = FAULTS[fault]
    restore(path, version)
    before = contents(path)
    with monkeypatch.context() as patch:
        fail_in_the_middle(patch, sql)
        for _ in range(2):
            with pytest.raises(StateError, match=told):
                open_database(path)
    no_more_than_before(path, version, before)


@pytest.mark.parametrize("version", EARLIER)
def test_an_exception_before_the_commit_leaves_the_old_ledger(
    path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: sqlite3.Connection) -> None:
        raise KeyboardInterrupt

    restore(path, version)
    before = contents(path)
    with monkeypatch.context() as patch:
        patch.setattr(migration, "_check_migrated", interrupt)
        with pytest.raises(KeyboardInterrupt):
            open_database(path)
    no_more_than_before(path, version, before)


@pytest.mark.parametrize("version", EARLIER)
def test_a_copy_that_can_not_be_kept_stops_the_migration(
    path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    faults: list[Callable[[pytest.MonkeyPatch], None]] = [
        lambda patch: patch.setattr(migration, "flush_folder", refuse),
        lambda patch: patch.setattr(Path, "replace", refuse),
    ]
    restore(path, version)
    before = contents(path)
    for fault in faults:
        with monkeypatch.context() as patch:
            fault(patch)
            with pytest.raises(StateError, match=r"the disk is full .* then start again"):
                open_database(path)
        assert contents(path) == before
    no_more_than_before(path, version, before)


@pytest.mark.parametrize("place", ["flush_folder", "_check_migrated"])
@pytest.mark.parametrize("version", EARLIER)
def test_a_kill_in_the_middle_leaves_the_old_ledger(path: Path, version: int, place: str) -> None:
    program = (
        "import os, sys; from pathlib import Path\n"
        "from pipeline.ledger import database, migration\n"
        f"migration.MIGRATIONS[{VERSION - 1}] += {BULKY!r}\n"
        f"migration.{place} = lambda _: os._exit(9)\n"
        "database.open_database(Path(sys.argv[1]))"
    )
    restore(path, version)
    before = contents(path)
    killed = subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, check=False)
    assert killed.returncode == 9
    wal = path.with_name("ledger.sqlite-wal")
    if place == "_check_migrated":
        # Most of the migration has reached the disk, and none of it counts.
        assert wal.stat().st_size > 1_000_000
    no_more_than_before(path, version, before)


@pytest.mark.parametrize("version", EARLIER)
def test_a_damaged_ledger_of_an_earlier_version_is_kept_aside_as_any_other(
    path: Path, version: int
) -> None:
    restore(path, version)
    # An index that no step touches: only the check before the copy finds it.
    sql = "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size"
    ((page, size),) = query(path, f"{sql} WHERE name = 'documents_kept'")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    damaged = path.read_bytes()
    with capture_logs() as logs:
        open_database(path).close()
    assert [log["event"] for log in logs] == ["ledger damaged", "new ledger created"]
    (aside,) = path.parent.glob("ledger.sqlite.damaged-*[0-9]")
    assert aside.read_bytes() == damaged
    assert not path.with_name(f"ledger.sqlite.v{version}").exists()
    assert query(path, "SELECT count(*) FROM documents") == [(0,)]


@pytest.mark.parametrize("newer", [VERSION + 1, 99])
async def test_a_newer_ledger_is_refused_and_left_alone(path: Path, newer: int) -> None:
    restore(path, VERSION)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    before = path.read_bytes()
    words = rf"newer synqup \(version {newer} .* knows {VERSION}\)\. Install that version again"
    with pytest.raises(StateError, match=words):
        async with open_ledger(path):
            pass
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]
