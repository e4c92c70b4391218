"""The ledger's file and its folder: what they are brought forward from, and refused for."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest

from pipeline.app.lock import only_process
from pipeline.errors import StateError
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.models import State
from pipeline.ledger.schema import VERSION
from pipeline.ledger.summary import summarise

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
NOBODY = 65534

#: As version 1 made it; it stays as it is.
FIRST = """
CREATE TABLE documents (
    source TEXT NOT NULL, id TEXT NOT NULL, revision TEXT NOT NULL,
    label TEXT NOT NULL, state TEXT NOT NULL,
    company TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL DEFAULT '',
    path TEXT NOT NULL DEFAULT '', name_hash INTEGER,
    staged TEXT NOT NULL DEFAULT '', companions TEXT NOT NULL DEFAULT '',
    sha256 TEXT NOT NULL DEFAULT '', size INTEGER, checksum TEXT NOT NULL DEFAULT '',
    identity INTEGER, number_hash INTEGER,
    reason TEXT NOT NULL DEFAULT '', warnings TEXT NOT NULL DEFAULT '',
    seen_at REAL NOT NULL, changed_at REAL NOT NULL, verified_at REAL,
    delivered_at REAL, acknowledged_at REAL,
    PRIMARY KEY (source, id, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_name ON documents (name_hash) WHERE name_hash IS NOT NULL;
CREATE INDEX documents_identity ON documents (identity) WHERE identity IS NOT NULL;
CREATE INDEX documents_number ON documents (number_hash) WHERE number_hash IS NOT NULL;
CREATE INDEX documents_open ON documents (source, state)
    WHERE acknowledged_at IS NULL AND state IN ('delivered', 'duplicate', 'skipped', 'quarantined');
CREATE INDEX documents_staged ON documents (source) WHERE state = 'staged';
CREATE INDEX documents_kept ON documents (changed_at) WHERE state IN ('quarantined', 'waiting');
CREATE TABLE sources (
    name TEXT PRIMARY KEY, polled_at REAL, error TEXT NOT NULL DEFAULT '', error_at REAL
) STRICT;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
INSERT INTO sources VALUES ('box', 9.0, 'no answer', 10.0);
INSERT INTO documents (source, id, revision, label, state, sha256, reason, seen_at, changed_at,
    acknowledged_at) VALUES
    ('box', '1', '', 'one', 'delivered', 'ab', '', 1.0, 9e9, 9e9),
    ('box', '2', 'r', 'two', 'waiting', '', 'later', 1.0, 9e9, NULL),
    ('box', '3', '', 'three', 'quarantined', '', 'why', 1.0, 2.0, NULL);
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "ledger.sqlite"
    path.parent.mkdir()
    return path


def first_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program has the ledger for itself alone."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("CREATE TABLE mine (x)")
        yield


async def test_a_ledger_of_the_first_version_is_brought_forward(ledger: Path) -> None:
    first_version(ledger)
    for _ in range(2):
        async with open_ledger(ledger) as opened:
            contents = await opened.contents("box", ["1", "2", "3"])
            assert {
                id_: {r: k.state for r, k in rows.items()} for id_, rows in contents.items()
            } == {
                "1": {"": State.DELIVERED},
                "2": {"r": State.WAITING},
                "3": {"": State.QUARANTINED},
            }
            # All of it lies before the first poll that is counted.
            assert {row.poll for rows in contents.values() for row in rows.values()} == {0}
            assert [key.id for key, _ in await opened.unacknowledged("box")] == ["3"]
    assert summarise(ledger).sources[0].error == "no answer"
    async with open_ledger(ledger) as opened:
        assert [await opened.begin_poll("box") for _ in range(2)] == [1, 2]
    with closing(sqlite3.connect(ledger)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    kept = ledger.with_name("ledger.sqlite.v1")
    with closing(sqlite3.connect(f"{kept.as_uri()}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM documents").fetchone() == (3,)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640


async def test_a_bringing_forward_that_broke_off_begins_anew(ledger: Path) -> None:
    first_version(ledger)
    ledger.with_name("ledger.sqlite.v1.part").write_bytes(b"half of a copy")
    ledger.with_name("ledger.sqlite.v1").write_bytes(b"an older one")
    async with open_ledger(ledger) as opened:
        assert len(await opened.contents("box", ["1", "2", "3"])) == 3
    with closing(sqlite3.connect(ledger.with_name("ledger.sqlite.v1"))) as connection:
        assert connection.execute("SELECT count(*) FROM documents").fetchone() == (3,)
    assert not ledger.with_name("ledger.sqlite.v1.part").exists()


async def test_a_fresh_ledger_has_the_tables_of_one_that_was_brought_forward(
    ledger: Path, tmp_path: Path
) -> None:
    def tables(path: Path) -> list[object]:
        with closing(sqlite3.connect(path)) as connection:
            query = "SELECT m.name, c.* FROM sqlite_schema m, pragma_table_xinfo(m.name) c"
            return connection.execute(f"{query} ORDER BY 1, 2").fetchall()

    first_version(ledger)
    for path in (ledger, tmp_path / "fresh"):
        async with open_ledger(path):
            pass
    assert tables(ledger) == tables(tmp_path / "fresh")


async def test_a_locked_ledger_is_told_as_one(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ledger.database.BUSY", 0.01)
    monkeypatch.setattr("pipeline.ledger.summary.BUSY", 0.01)
    async with open_ledger(ledger):
        pass
    with locked(ledger):
        with pytest.raises(
            StateError, match=r"another program .* Close that program .* then start ag"
        ):
            async with open_ledger(ledger):
                pass
        with pytest.raises(StateError, match=r"another program .* Close that program .* ask again"):
            summarise(ledger)
    # Nothing was kept aside: it is as it was.
    assert not list(ledger.parent.glob("*damaged*"))
    assert summarise(ledger).counts == ()


async def test_a_damaged_ledger_is_told_by_status_as_well(ledger: Path) -> None:
    ledger.write_bytes(b"no ledger at all\n" * 300)
    with pytest.raises(StateError, match=r"it is damaged .* keeps it aside"):
        summarise(ledger)


async def test_a_folder_that_can_not_be_flushed_is_refused(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with (
            pytest.raises(StateError, match="Input/output error"),
            only_process(ledger.parent / "x"),
        ):
            pass
        for _ in range(2):
            with pytest.raises(StateError, match=r"reports an error \(Input/output error\)"):
                async with open_ledger(ledger):
                    pass
    async with open_ledger(ledger) as opened:
        assert await opened.contents("box", ["1"]) == {}


@pytest.mark.skipif(os.name == "nt", reason="there links and pipes are other things")
@pytest.mark.parametrize("name", ["ledger.sqlite", "ledger.sqlite-wal"])
@pytest.mark.parametrize("what", ["link", "pipe"])
async def test_what_lies_in_the_place_of_the_ledger_is_not_followed(
    ledger: Path, tmp_path: Path, name: str, what: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("of somebody else")
    path = ledger.with_name(name)
    path.symlink_to(victim) if what == "link" else os.mkfifo(path)
    with pytest.raises(StateError, match=name):
        async with open_ledger(ledger):
            pass
    assert victim.read_text() == "of somebody else"


@pytest.mark.skipif(os.name == "nt", reason="there links and pipes are other things")
@pytest.mark.parametrize("name", ["lock", "owner"])
@pytest.mark.parametrize("what", ["link", "pipe"])
def test_what_lies_in_the_place_of_the_lock_is_not_followed(
    tmp_path: Path, name: str, what: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("of somebody else")
    state = tmp_path / "state"
    state.mkdir()
    path = state / name
    path.symlink_to(victim) if what == "link" else os.mkfifo(path)
    with pytest.raises(StateError, match="no file of synqup's own"), only_process(state):
        pass
    assert victim.read_text() == "of somebody else"


@pytest.mark.skipif(os.name == "nt", reason="there folders inherit their rights")
def test_a_state_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for mode in (0o777, 0o1777, 0o702):
        state.chmod(mode)
        with pytest.raises(StateError, match=r"may write .*chmod o-w"), only_process(state):
            pass
        assert not list(state.iterdir())
    for mode in (0o700, 0o750, 0o755, 0o770):
        state.chmod(mode)
        with only_process(state):
            pass


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_a_state_folder_of_another_account_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    link = tmp_path / "link"
    link.symlink_to(state)
    with only_process(link):
        pass
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    for way in (link, link / "below"):
        with pytest.raises(StateError, match="link that another account"), only_process(way):
            pass
    os.chown(state, NOBODY, NOBODY)
    with pytest.raises(StateError, match="belongs to another account"), only_process(state):
        pass


def test_whoever_owns_the_folder_is_told_whatever_the_file_says(tmp_path: Path) -> None:
    second = (
        "import sys; from pathlib import Path; from pipeline.app.lock import only_process\n"
        "with only_process(Path(sys.argv[1])): pass"
    )
    with only_process(tmp_path / "state"):
        (tmp_path / "state" / "owner").write_bytes(b"\xff\xfe" * 1000)
        command = [sys.executable, "-c", second, str(tmp_path / "state")]
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "StateInUse" in refused.stderr
    assert "UnicodeDecodeError" not in refused.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root becomes another")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_status_for_another_account_ends_in_words(mode: int) -> None:
    async def make(path: Path) -> None:
        async with open_ledger(path):
            pass

    folder = Path(tempfile.mkdtemp(prefix="synqup-status-"))
    try:
        anyio.run(make, folder / "ledger")
        (folder / "ledger").chmod(0o644)
        folder.chmod(mode)
        program = (
            "import os, sys; from pathlib import Path\n"
            "from pipeline.ledger.summary import summarise\n"
            f"os.setuid({NOBODY})\n"
            "print(summarise(Path(sys.argv[1])))"
        )
        command = [sys.executable, "-c", program, str(folder / "ledger")]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert "pipeline.errors.StateError" in told.stderr
        assert "s the account that runs synqup" in told.stderr
    finally:
        shutil.rmtree(folder)
