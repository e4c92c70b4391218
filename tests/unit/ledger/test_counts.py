"""The counts of a ledger in use are cheap and right, and what keeps it from being written shows."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from pipeline.document import Key
from pipeline.errors import StateError
from pipeline.ledger import counts
from pipeline.ledger.connection import Dialect
from pipeline.ledger.counts import LedgerCounts, read_counts
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.models import Staged
from pipeline.ledger.sqlite_connection import SQLITE

pytestmark = pytest.mark.anyio


def keys(first: int, last: int) -> list[Key]:
    return [Key("box", str(number), "") for number in range(first, last)]


async def test_what_still_needs_something_is_counted(tmp_path: Path) -> None:
    # Characters that mean something in an address; no name has a question mark on Windows.
    path = tmp_path / f"a folder with % and #{'' if os.name == 'nt' else '?'}" / "ledger"
    path.parent.mkdir()
    async with open_ledger(path) as ledger:
        assert (await ledger.counts()).waiting == 0
        await ledger.seen([(key, "") for key in keys(0, 20)], 1.0)
        await ledger.waiting([(key, "why") for key in keys(0, 3)], 1.0)
        await ledger.quarantined([(key, "why") for key in keys(3, 8)], 1.0)
        await ledger.skipped([(key, "why") for key in keys(8, 10)], 1.0)
        rows = [
            Staged(key, "t/1", (), f"out/{key.id}", "BE1", "sales", "ab", 9, "", "", 3.0)
            for key in keys(10, 14)
        ]
        await ledger.stage(rows, 2.0)
        await ledger.delivered([(key, "t/1") for key in keys(10, 11)], 3.0)
        await ledger.acknowledged(keys(3, 5), 4.0)
        # Behind all that goes before.
        await ledger.contents("box", ["1"])
        found = await ledger.counts()
    assert found == LedgerCounts(5, 3, 3, 3 + 2 + 1, found.bytes)
    assert found.bytes >= path.stat().st_size > 0


async def test_they_are_read_while_another_program_holds_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    async with open_ledger(path) as ledger:
        await ledger.waiting([(key, "why") for key in keys(0, 3)], 1.0)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as group:
                group.start_soon(ledger.begin_poll, "box")
                with anyio.fail_after(60):
                    while ledger.unwritable is None:
                        await anyio.sleep(0.01)
                since, reason = ledger.unwritable.since, ledger.unwritable.reason
                assert "another program" in reason
                assert (await ledger.counts()).waiting == 3
                assert ledger.unwritable.since == since
                other.execute("ROLLBACK")
        await ledger.begin_poll("box")
        assert ledger.unwritable is None


@pytest.mark.parametrize("query", [counts.kept, counts.staged, counts.unacknowledged])
async def test_no_count_reads_the_table(tmp_path: Path, query: Callable[[Dialect], str]) -> None:
    async with open_ledger(tmp_path / "ledger"):
        with closing(sqlite3.connect(tmp_path / "ledger")) as reader:
            plan = [row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {query(SQLITE)}")]
    assert "INDEX documents_" in plan[0]


async def test_no_ledger_is_an_error_of_the_state_folder(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="can't be read"):
        read_counts(tmp_path / "ledger")
    (tmp_path / "ledger").write_text("this is none at all " * 100)
    with pytest.raises(StateError, match="can't be read"):
        read_counts(tmp_path / "ledger")
