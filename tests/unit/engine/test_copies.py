"""Copies of what was delivered: whole or none, bounded, and never in the way."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from pipeline.document import Key
from pipeline.engine import copies as module
from pipeline.engine.copies import Copies, Copy

LIMIT = 10**9


def key(number: int) -> Key:
    return Key("box", str(number), "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "delivered.sqlite"


def test_a_document_and_its_sidecar_are_had_again(path: Path) -> None:
    copies = Copies(path)
    assert copies.get(key(1)) is None
    assert not path.exists()
    copies.put([Copy(key(1), "", b"<a/>" * 999), Copy(key(1), "pdf", b"%PDF-")], LIMIT)
    assert copies.get(key(1)) == b"<a/>" * 999
    assert copies.get(key(1), "pdf") == b"%PDF-"
    assert copies.get(key(1), "xml") is None
    assert copies.get(key(2)) is None
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_bytes_are_kept_once_as_long_as_one_needs_them(path: Path) -> None:
    copies = Copies(path)
    content = os.urandom(300_000)
    copies.put([Copy(key(number), "", content) for number in range(50)], LIMIT)
    assert path.stat().st_size + wal(path) < 2_000_000
    copies.put([Copy(key(0), "", b"another")], LIMIT)
    assert copies.get(key(7)) == content


def wal(path: Path) -> int:
    beside = path.with_name(f"{path.name}-wal")
    return beside.stat().st_size if beside.exists() else 0


def test_the_oldest_give_way_and_the_file_shrinks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEP", 2)
    copies, limit = Copies(path), 1_000_000
    for number in range(40):
        copies.put([Copy(key(number), "", os.urandom(100_000))], limit)
    assert copies.get(key(39)) is not None
    assert copies.get(key(0)) is None
    assert path.stat().st_size < 2 * limit
    # One that would take most of the room is not kept at all.
    copies.put([Copy(key(99), "", os.urandom(limit // 2))], limit)
    assert copies.get(key(99)) is None
    assert copies.get(key(39)) is not None
    while copies.remove(1e12):
        pass
    assert copies.get(key(39)) is None
    assert copies.remove(1e12) == 0


def test_what_is_not_old_stays(path: Path) -> None:
    copies = Copies(path)
    assert copies.remove(1e12) == 0
    copies.put([Copy(key(1), "", b"new")], LIMIT)
    assert copies.remove(1000.0) == 0
    assert copies.get(key(1)) == b"new"


def test_a_file_that_is_none_of_ours_gives_way(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    copies = Copies(path)
    copies.put([Copy(key(1), "", b"new")], LIMIT)
    assert copies.get(key(1)) == b"new"


def test_damaged_bytes_count_as_none(path: Path) -> None:
    copies = Copies(path)
    copies.put([Copy(key(1), "", b"a" * 100), Copy(key(2), "", b"b" * 100)], LIMIT)
    with sqlite3.connect(path) as connection:
        digest = connection.execute("SELECT digest FROM contents LIMIT 1").fetchone()[0]
        connection.execute("UPDATE contents SET content = x'00' WHERE digest = ?", (digest,))
        connection.execute(
            "UPDATE contents SET content = (SELECT content FROM contents LIMIT 1 OFFSET 1)"
        )
    connection.close()
    assert (copies.get(key(1)), copies.get(key(2))).count(None) >= 1
