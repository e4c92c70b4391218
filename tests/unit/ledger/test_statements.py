"""What the ledger has SQLite do: nothing for each row that costs more than the row itself."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio.to_thread
import pytest

from pipeline.document import Key
from pipeline.ledger.database import open_database
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.models import Staged
from pipeline.ledger.sqlite_store import SqliteStore
from pipeline.ledger.writer import Writer

pytestmark = pytest.mark.anyio

KEY = Key("box", "1", "r")
STAGED = Staged(
    key=KEY,
    staged="/staging/1",
    sidecars=(),
    path="/out/1.xml",
    company="BE0123456749",
    kind="purchase",
    sha256="0" * 64,
    size=1,
    checksum="structure",
    warnings="",
    verified_at=1.0,
    identity=1,
    number_hash=2,
)


async def executed(path: Path) -> tuple[sqlite3.Connection, list[str]]:
    """The life of a document in a ledger: its connection, and the SQL of each statement."""
    connection = await anyio.to_thread.run_sync(open_database, path)
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    writer = Writer(SqliteStore(connection), 0)
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        ledger = Ledger(writer, path)
        await ledger.seen([(KEY, "invoice 1")], 1.0)
        await ledger.waiting([(KEY, "the folder is full")], 1.0)
        await ledger.seen([(KEY, "invoice 1")], 1.0)
        await ledger.stage([STAGED], 2.0)
        await ledger.unstaged([(KEY, STAGED.staged, "the folder is full")], 2.0)
        await ledger.stage([STAGED], 2.0)
        await ledger.delivered([(KEY, STAGED.staged)], 3.0)
        await ledger.acknowledged([KEY], 4.0)
        await ledger.forget([KEY])
        writer.close()
    connection.set_trace_callback(None)
    return connection, statements


async def test_no_row_makes_a_table_in_memory(tmp_path: Path) -> None:
    connection, statements = await executed(tmp_path / "ledger.sqlite")
    changes = [one for one in statements if one.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert len(changes) == 9
    for sql in changes:
        opcodes = {row[1] for row in connection.execute(f"EXPLAIN {sql}")}
        assert "OpenEphemeral" not in opcodes, sql
    connection.close()
