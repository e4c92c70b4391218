"""What can't be written fails alone or waits, and is never dropped unseen."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from pipeline.document import Key
from pipeline.errors import StateError
from pipeline.ledger import statements
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import State
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.writer import RowMissing, Statement, Writer
from tests.helpers.ledgers import connection_of

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ledger.database.BUSY_TIMEOUT", 0.001)
    monkeypatch.setattr("pipeline.ledger.writer.RETRY_DELAY", 0.01)


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program holds the ledger, so that nothing can be written."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def unwritable(place: LedgerPlace) -> Any:
    """What the database refuses: a lone surrogate, or no text at all where that can be stored."""
    return "\ud800" if isinstance(place, Path) else object()


def keys(count: int) -> list[Key]:
    return [Key("box", str(number), "") for number in range(count)]


async def states(ledger: Ledger, ids: int = 100) -> dict[str, State]:
    contents = await ledger.contents("box", [str(number) for number in range(ids)])
    return {id_: row.state for id_, rows in contents.items() for row in rows.values()}


async def test_a_change_that_fails_fails_alone(place: LedgerPlace) -> None:
    failures: dict[str, Exception] = {}
    async with open_ledger(place) as ledger:

        async def fail(key: Key, reason: str) -> None:
            try:
                await ledger.waiting([(key, reason)], 2.0)
            except Exception as error:  # noqa: BLE001 - of either database
                failures[key.id] = error

        async with anyio.create_task_group() as group:
            for key in keys(40):
                is_bad = key.id in ("7", "23")
                group.start_soon(fail, key, unwritable(place) if is_bad else "later")
        assert set(failures) == {"7", "23"}
        assert not any(isinstance(one, StateError) for one in failures.values())
        assert set(await states(ledger)) == {key.id for key in keys(40)} - {"7", "23"}


async def test_a_number_too_large_for_sqlite_fails_nobody_else(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        writer: Writer = ledger._writer

        async def put(at: int) -> None:
            sql = "INSERT INTO sources (name, polled_at, error_at) VALUES (?1, ?2, ?3)"
            await writer.write(Statement(sql, [(f"s{at}", 0.0, at)]))

        with pytest.raises(ExceptionGroup) as failed:
            async with anyio.create_task_group() as group:
                group.start_soon(put, 2**70)
                for at in range(20):
                    group.start_soon(put, at)
        assert failed.group_contains(OverflowError)
    with closing(sqlite3.connect(tmp_path / "ledger")) as connection:
        assert connection.execute("SELECT count(*) FROM sources").fetchone() == (20,)


async def test_a_note_that_fails_costs_one_row_and_is_told_with_its_traceback(
    place: LedgerPlace,
) -> None:
    async with open_ledger(place) as ledger:
        with capture_logs() as logs:
            bad = unwritable(place)
            page = [(key, bad if key.id == "3" else "invoice") for key in keys(10)]
            await ledger.seen(page, 1.0)
            found = await states(ledger)
        assert set(found) == {key.id for key in keys(10)} - {"3"}
        (told,) = [log for log in logs if "ledger entry is lost" in log["event"]]
        assert isinstance(told["exc_info"], Exception)
        # The document is held by the ledger as soon as it comes to an end.
        await ledger.quarantined([(Key("box", "3", ""), "its name is none")], 2.0)
        assert (await states(ledger))["3"] is State.QUARANTINED
        assert [key.id for key, _ in await ledger.unacknowledged("box")] == ["3"]


async def test_what_the_ledger_does_not_hold_is_not_delivered_in_silence(
    place: LedgerPlace,
) -> None:
    async with open_ledger(place) as ledger:
        await ledger.seen([(Key("box", "1", ""), "invoice")], 1.0)
        with pytest.raises(RowMissing):
            await ledger.delivered([(Key("box", id_, ""), "t/1") for id_ in "12"], 2.0)
        assert await states(ledger) == {"1": State.SEEN}


async def test_an_acknowledgement_without_a_row_is_told_and_the_others_are_noted(
    place: LedgerPlace,
) -> None:
    async with open_ledger(place) as ledger:
        await ledger.skipped([(key, "a rule") for key in keys(3)], 1.0)
        with capture_logs() as logs:
            await ledger.acknowledged(keys(4), 2.0)
            assert await ledger.unacknowledged("box") == []
        assert [type(log["exc_info"]) for log in logs] == [RowMissing]


async def test_an_unfinished_document_is_never_noted_as_told(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await ledger.seen([(key, "") for key in keys(1)], 1.0)
        await ledger.acknowledged(keys(1), 2.0)
        contents = await ledger.contents("box", ["0"])
        assert contents["0"][""].acknowledged_at is None


async def test_notes_that_a_lock_refuses_go_along_with_the_next_commit_in_their_order(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger"
    async with open_ledger(path, write_timeout=0) as ledger:
        with locked(path):
            await ledger.seen([(key, "") for key in keys(3)], 1.0)
            await ledger.forget([Key("box", "1", "")])
            for _ in range(2):
                with pytest.raises(StateError, match="another program has it open"):
                    await ledger.waiting([(Key("box", "2", ""), "later")], 2.0)
        assert await states(ledger) == {"0": State.SEEN, "2": State.SEEN}


async def test_notes_that_a_full_disk_refuses_are_written_once_there_is_room(
    tmp_path: Path,
) -> None:
    async with open_ledger(tmp_path / "ledger", write_timeout=0) as ledger:
        connection = connection_of(ledger)
        connection.execute("PRAGMA max_page_count = 20")  # SQLite's own way to have no room
        await ledger.seen([(key, "x" * 1000) for key in keys(200)], 1.0)
        with pytest.raises(StateError, match="the disk is full"):
            await states(ledger)
        connection.execute("PRAGMA max_page_count = 4000")
        assert len(await states(ledger, 200)) == 200


async def test_notes_that_can_not_be_written_until_the_end_make_it_end_in_words(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger"
    with (
        ExitStack() as until_the_end,
        capture_logs() as logs,
        pytest.raises(StateError, match="Close that program"),
    ):
        async with open_ledger(path) as ledger:
            until_the_end.enter_context(locked(path))
            await ledger.seen([(key, "") for key in keys(3)], 1.0)
    (told,) = [log for log in logs if log["event"] == "ledger entries are lost"]
    assert told["changes"] == 1


async def test_another_error_is_not_hidden_by_entries_that_are_lost(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with ExitStack() as until_the_end, pytest.raises(ExceptionGroup) as failed:
        async with open_ledger(path) as ledger:
            until_the_end.enter_context(locked(path))
            await ledger.seen([(key, "") for key in keys(3)], 1.0)
            raise KeyError("a bug")
    assert failed.group_contains(KeyError)
    assert not failed.group_contains(StateError)


async def test_a_disk_that_refuses_is_told_once_and_in_its_own_words(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    async with open_ledger(path) as ledger, anyio.create_task_group() as group:
        assert ledger.unwritable is None
        with capture_logs() as logs, locked(path):
            group.start_soon(ledger.begin_poll, "box")
            with anyio.fail_after(60):
                while not logs:
                    await anyio.sleep(0.01)
            await anyio.sleep(0.05)
            assert ledger.unwritable is not None
        await ledger.begin_poll("box")
        assert ledger.unwritable is None
        (told,) = [log for log in logs if log["event"] == "ledger can't be written"]
        assert "another program" in str(told["reason"])
        assert "will be retried" in str(told["remedy"])


async def test_what_is_open_is_told_a_part_at_a_time(
    place: LedgerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "PAGE_SIZE", 3)
    async with open_ledger(place) as ledger:
        for number, end in enumerate((ledger.duplicates, ledger.skipped, ledger.quarantined)):
            await end([(key, "") for key in keys(12)[number::3]], 1.0)
        found: list[tuple[Key, Any]] = []
        sizes = []
        while page := await ledger.unacknowledged("box", found[-1] if found else None):
            sizes.append(len(page))
            found += page
        assert sizes == [3, 3, 3, 3]
        assert {key.id for key, _ in found} == {key.id for key in keys(12)}


async def test_an_id_of_strange_signs_is_found_again(place: LedgerPlace) -> None:
    strange = ["a\0b", "a", "", "' OR 1", "\u202e", "é", "e\u0301", "x" * 10_000]
    async with open_ledger(place) as ledger:
        await ledger.seen([(Key("box", id_, ""), "") for id_ in strange], 1.0)
        assert set(await ledger.contents("box", strange)) == set(strange)
        assert await ledger.contents("other", strange) == {}
        many = [str(number) for number in range(100_000)]
        assert await ledger.contents("box", many) == {}
