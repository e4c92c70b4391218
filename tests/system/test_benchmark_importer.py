"""The importer counts what it takes, and holds it against the ledger."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks.failure import BenchmarkError
from benchmarks.importer import SAMPLE, Importer


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out" / "company" / "achats"
    folder.mkdir(parents=True)
    return folder


def ledger_of(path: Path, rows: dict[Path, bytes]) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE documents (path TEXT, sha256 TEXT)")
        connection.executemany(
            "INSERT INTO documents VALUES (?, ?)",
            [(str(file), sha256(content).hexdigest()) for file, content in rows.items()],
        )
    return path


def test_all_that_is_shown_is_taken_and_nothing_hidden(tmp_path: Path, out: Path) -> None:
    importer = Importer(tmp_path / "out")
    hidden = tmp_path / "out" / ".synqup"
    hidden.mkdir()
    (hidden / "temporary").write_bytes(b"half")
    (out / "a.xml").write_bytes(b"one")
    importer.take()
    (out / "a.xml").write_bytes(b"three")
    importer.take()
    importer.take()
    assert (importer.taken, importer.bytes) == (2, 8)
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["temporary"]


def test_what_came_has_to_be_what_the_ledger_says(tmp_path: Path, out: Path) -> None:
    rows = {out / str(number): b"%d" % number for number in range(SAMPLE + 1)}
    for path, content in rows.items():
        path.write_bytes(content)
    importer = Importer(tmp_path / "out")
    importer.take()
    importer.check(ledger_of(tmp_path / "right", rows), len(rows))
    with pytest.raises(BenchmarkError, match="51 files came for 52"):
        importer.check(tmp_path / "right", len(rows) + 1)
    with pytest.raises(BenchmarkError, match="another document"):
        importer.check(ledger_of(tmp_path / "wrong", dict.fromkeys(rows, b"x")), len(rows))
    with pytest.raises(BenchmarkError, match="knows nothing"):
        importer.check(ledger_of(tmp_path / "empty", {}), len(rows))
