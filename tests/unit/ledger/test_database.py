"""The ledger's file and its folder: what they are refused for."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipeline.app.lock import single_instance
from pipeline.errors import StateError
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.summary import summarise
from tests.helpers.systems import posix_only

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
NOBODY = 65534


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "ledger.sqlite"
    path.parent.mkdir()
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program has the ledger for itself alone."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("CREATE TABLE mine (x)")
        yield


async def test_a_locked_ledger_is_told_as_one(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ledger.database.BUSY_TIMEOUT", 0.01)
    monkeypatch.setattr("pipeline.ledger.sqlite_connection.BUSY_TIMEOUT", 0.01)
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


@posix_only("no folder can be flushed")
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
            single_instance(ledger.parent / "x"),
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
    with pytest.raises(StateError, match="no file of synqup's own"), single_instance(state):
        pass
    assert victim.read_text() == "of somebody else"


@pytest.mark.skipif(os.name == "nt", reason="there folders inherit their rights")
def test_a_state_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for mode in (0o777, 0o1777, 0o702):
        state.chmod(mode)
        with pytest.raises(StateError, match=r"may write .*chmod o-w"), single_instance(state):
            pass
        assert not list(state.iterdir())
    for mode in (0o700, 0o750, 0o755, 0o770):
        state.chmod(mode)
        with single_instance(state):
            pass


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
def test_a_state_folder_of_another_account_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    link = tmp_path / "link"
    link.symlink_to(state)
    with single_instance(link):
        pass
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    for way in (link, link / "below"):
        with pytest.raises(StateError, match="link that another account"), single_instance(way):
            pass
    os.chown(state, NOBODY, NOBODY)
    with pytest.raises(StateError, match="belongs to another account"), single_instance(state):
        pass
