"""The ledger remembers what became of each document, through any stop, for one process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from msgspec import structs

from pipeline.alternatives import name_hash
from pipeline.document import Key
from pipeline.errors import StateError
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.marks import marks
from pipeline.ledger.models import (
    AllocatedName,
    Duplicate,
    NameTaken,
    State,
    Unfinished,
    Unrecorded,
)
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.summary import SourceState, summarise
from tests.helpers.ledgers import KEY, bring, connection_of, query, row, staged

pytestmark = pytest.mark.anyio


async def test_a_document_is_followed_from_list_to_acknowledgement(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        assert await ledger.contents("box", ["1"]) == {}
        await bring(ledger, identity=5, number_hash=6, marks="aaaabbbb")
        await ledger.acknowledged([KEY], 6.0)
        known = await row(ledger)
        assert (known.state, known.acknowledged_at) == (State.DELIVERED, 6.0)
    (found,) = query(place, "SELECT * FROM documents")
    assert found == (
        *("box", "1", "", "invoice 1", "delivered", "BE1", "sales", "out/7.xml"),
        *(name_hash("out/7.xml"), "", ""),
        *("ab", 9, "Digest", 5, 6, "", "odd", 1.0, 5.0, 3.0, 5.0, 6.0, 0, "aaaabbbb", "", ""),
    )


async def test_it_remembers_after_it_was_closed(place: LedgerPlace) -> None:
    for _ in range(2):
        async with open_ledger(place) as ledger:
            if not await ledger.contents("box", ["1"]):
                await bring(ledger)
    assert summarise(place).counts[0].documents == 1


async def test_another_revision_is_another_document(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await bring(ledger)
        assert list((await ledger.contents("box", ["1"]))["1"]) == [""]


async def test_a_staged_or_delivered_document_is_never_said_to_have_failed(
    place: LedgerPlace,
) -> None:
    async with open_ledger(place) as ledger:
        await ledger.seen([(KEY, "")], 1.0)
        await ledger.stage([staged()], 2.0)
        await ledger.waiting([(KEY, "later")], 3.0)
        await ledger.quarantined([(KEY, "never")], 3.0)
        assert await ledger.unfinished() == [
            Unfinished(KEY, "t/1", (), "out/7.xml", "", "BE1", "sales", "ab")
        ]
        await ledger.unstaged([(KEY, "t/1", "the folder was gone")], 4.0)
        assert (await row(ledger)).state is State.WAITING
        assert await ledger.stage([staged()], 5.0) == [AllocatedName("out/7.xml")]


async def test_a_name_that_was_given_stays_taken(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await bring(ledger)
        group = [staged(Key("box", id_, "")) for id_ in ("2", "3")]
        await ledger.seen([(one.key, "") for one in group], 1.0)
        assert await ledger.stage(group, 6.0) == [
            AllocatedName("out/7-2.xml", 2),
            AllocatedName("out/7-3.xml", 3),
        ]


async def test_many_documents_of_one_name_get_theirs_also_after_a_restart(tmp_path: Path) -> None:
    asked = 0

    def count(statement: str) -> None:
        nonlocal asked
        asked += "WHERE name_hash = " in statement

    for start in (1, 301):
        async with open_ledger(tmp_path / "ledger") as ledger:
            group = [staged(Key("box", str(n), "")) for n in range(start, start + 300)]
            await ledger.seen([(one.key, "") for one in group], 1.0)
            connection_of(ledger).set_trace_callback(count)
            allocations = await ledger.stage(group, 2.0)
            connection_of(ledger).set_trace_callback(None)
            names = [
                allocated.path for allocated in allocations if isinstance(allocated, AllocatedName)
            ]
            first = "out/7.xml" if start == 1 else "out/7-301.xml"
            assert names == [first, *(f"out/7-{n}.xml" for n in range(start + 1, start + 300))]
    # Each is asked for itself and no other; a few more find where the second process goes on.
    assert asked < 640


async def test_a_name_that_somebody_took_meanwhile_is_followed_by_another(
    place: LedgerPlace,
) -> None:
    async with open_ledger(place) as ledger:
        await ledger.seen([(KEY, "")], 1.0)
        await ledger.stage([staged(first=3)], 2.0)
        assert [one.path for one in await ledger.unfinished()] == ["out/7-3.xml"]
        assert await ledger.reallocate(
            [NameTaken(KEY, "out/7.xml", 5, "t/1", "out/7-3.xml")], 3.0
        ) == [AllocatedName("out/7-5.xml", 5)]
        assert [one.path for one in await ledger.unfinished()] == ["out/7-5.xml"]


async def test_what_was_not_noted_gets_no_name(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        assert await ledger.stage([staged()], 2.0) == [Unrecorded(None)]
        await ledger.seen([(KEY, "")], 3.0)
        await ledger.stage([staged()], 4.0)
        other = structs.replace(staged(), staged="t/2")
        assert await ledger.stage([other], 5.0) == [Unrecorded(State.STAGED)]
        await ledger.delivered([(KEY, "t/1")], 6.0)
        assert await ledger.stage([staged()], 7.0) == [Unrecorded(State.DELIVERED)]


async def test_names_and_duplicates_are_found_within_a_group_too(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        keys = [Key("box", id_, "") for id_ in "123456"]
        await ledger.seen([(key, f"invoice {key.id}") for key in keys], 1.0)
        group = [
            staged(keys[0], identity=5, number_hash=6),
            staged(keys[1], identity=50, number_hash=6),
            # What it would like best has just been given to the one before it.
            staged(keys[2], name="out/7-2.xml"),
            staged(keys[3], name="out/20.xml", identity=5, number_hash=6),
            # A duplicate keeps neither its name nor its number from others.
            staged(keys[4], name="out/20.xml", identity=500, number_hash=60),
            staged(keys[5], name="out/21.xml"),
        ]
        assert await ledger.stage(group, 2.0) == [
            AllocatedName("out/7.xml"),
            AllocatedName("out/7-2.xml", 2, corrects="invoice 1"),
            AllocatedName("out/7-2-2.xml", 2),
            Duplicate(keys[0], "invoice 1", State.STAGED),
            AllocatedName("out/20.xml"),
            AllocatedName("out/21.xml"),
        ]


async def test_a_document_that_got_its_name_keeps_it(place: LedgerPlace) -> None:
    other = Key("box", "2", "")
    async with open_ledger(place) as ledger:
        await ledger.seen([(KEY, ""), (other, "")], 1.0)
        await ledger.stage([staged()], 2.0)
        await ledger.delivered([(KEY, "t/1")], 3.0)
        assert await ledger.stage([staged(other)], 4.0) == [AllocatedName("out/7-2.xml", 2)]
        assert [one.path for one in await ledger.unfinished()] == ["out/7-2.xml"]
    (found,) = query(place, "SELECT state, path, name_hash, staged FROM documents WHERE id = '1'")
    assert found == ("delivered", "out/7.xml", name_hash("out/7.xml"), "")


async def test_a_document_by_two_routes_is_known_as_one(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await bring(ledger, identity=5)
        other = Key("sftp", "1", "")
        assert await bring(ledger, other, identity=5) == Duplicate(
            KEY, "invoice 1", State.DELIVERED
        )
        await ledger.duplicates([(other, "the same as invoice 1")], 7.0)
        assert (await row(ledger, other)).state is State.DUPLICATE
        assert dict(await ledger.unacknowledged("sftp"))[other].reason == "the same as invoice 1"
        # The same document once more is no duplicate of itself, and gets no second name.
        assert await ledger.stage([staged(identity=5)], 8.0) == [Unrecorded(State.DELIVERED)]


async def test_documents_whose_marks_contradict_one_another_are_not_the_same(
    place: LedgerPlace,
) -> None:
    async with open_ledger(place) as ledger:
        await bring(ledger, identity=5, number_hash=6, marks=marks([("vat", "1"), ("lines", "a")]))
        other = Key("box", "2", "")
        second = await bring(
            ledger, other, identity=5, number_hash=6, marks=marks([("vat", "1"), ("lines", "b")])
        )
        assert isinstance(second, AllocatedName)
        assert (second.corrects, second.repeats) == ("invoice 1", "")
        # A third one is held against both.
        third = await bring(
            ledger, Key("box", "3", ""), identity=5, marks=marks([("lines", "b"), ("gln", "2")])
        )
        assert third == Duplicate(other, "invoice 2", State.DELIVERED)


async def test_a_duplicate_that_is_wanted_gets_a_name_and_is_told(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await bring(ledger, identity=5, number_hash=6)
        other = Key("box", "2", "")
        again = await bring(ledger, other, identity=5, number_hash=6, may_repeat=True)
        assert again == AllocatedName("out/7-2.xml", 2, repeats="invoice 1")
        unwanted = await bring(ledger, Key("box", "3", ""), identity=5, number_hash=6)
        assert isinstance(unwanted, Duplicate)


async def test_another_document_of_the_same_number_is_told(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await bring(ledger, identity=5, number_hash=6)
        corrected = await bring(ledger, Key("box", "2", ""), identity=50, number_hash=6)
        assert corrected == AllocatedName("out/7-2.xml", 2, corrects="invoice 1")


async def test_what_the_source_was_not_told_is_found_again(place: LedgerPlace) -> None:
    other = Key("box", "2", "")
    async with open_ledger(place) as ledger:
        await bring(ledger)
        await ledger.seen([(other, "")], 1.0)
        await ledger.quarantined([(other, "why")], 2.0)
        told = dict(await ledger.unacknowledged("box"))
        assert {key.id: known.reason for key, known in told.items()} == {"1": "", "2": "why"}
        await ledger.acknowledged([KEY, other], 9.0)
        assert await ledger.unacknowledged("box") == []


async def test_a_document_that_is_tried_again_starts_afresh(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await ledger.seen([(KEY, "")], 1.0)
        await ledger.quarantined([(KEY, "why")], 2.0)
        await ledger.acknowledged([KEY], 3.0)
        await ledger.seen([(KEY, "")], 4.0)
        known = await row(ledger)
        assert (known.state, known.acknowledged_at, known.reason) == (State.SEEN, None, "")


async def test_many_changes_at_once_are_all_made(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger, anyio.create_task_group() as group:
        for number in range(500):
            group.start_soon(ledger.seen, [(Key("box", str(number), ""), "")], 1.0)
    assert summarise(place).counts[0].documents == 500


async def test_a_change_that_was_asked_for_is_made_though_its_asker_is_cancelled(
    place: LedgerPlace,
) -> None:
    async with open_ledger(place) as ledger:
        await ledger.seen([(KEY, "")], 1.0)
        async with anyio.create_task_group() as group:
            group.start_soon(ledger.quarantined, [(KEY, "why")], 2.0)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert (await row(ledger)).state is State.QUARANTINED


async def test_polls_and_their_errors_are_told(place: LedgerPlace) -> None:
    async def told(at: float, error: str = "") -> SourceState:
        async with open_ledger(place) as ledger:
            await ledger.polled("box", at, error)
        (source,) = summarise(place).sources
        return source

    assert await told(1.0) == SourceState("box", 1.0, "", None)
    assert await told(2.0, "no answer") == SourceState("box", 1.0, "no answer", 2.0)
    assert await told(3.0) == SourceState("box", 3.0, "", None)


async def test_what_could_not_be_read_is_told_until_a_poll_could(place: LedgerPlace) -> None:
    def told() -> int:
        (source,) = summarise(place).sources
        return source.unreadable

    for items in (3, 0):
        async with open_ledger(place) as ledger:
            await ledger.begin_poll("box")
            await ledger.unreadable("box", items)
            await ledger.polled("box", 1.0, "a failure tells nothing of it")
        assert told() == items


async def test_every_configured_source_is_told_of_before_those_that_only_the_ledger_knows(
    place: LedgerPlace,
) -> None:
    never = [SourceState(name, None, "", None) for name in ("one", "box")]
    assert summarise(place, ["one", "box"]).sources == tuple(never)
    async with open_ledger(place) as ledger:
        assert summarise(place, ["one", "box"]).sources == tuple(never)
        await ledger.polled("box", 1.0)
        await ledger.polled("a former one", 2.0)
    assert summarise(place, ["one", "box"]).sources == (
        SourceState("one", None, "", None),
        SourceState("box", 1.0, "", None),
        SourceState("a former one", 2.0, "", None),
    )


async def test_what_nobody_waits_for_is_written_all_the_same(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await ledger.seen([(KEY, "")], 1.0)
        with anyio.fail_after(60):
            while not summarise(place).counts:
                await anyio.sleep(0.01)


@pytest.mark.parametrize("damage", ["no database", "overwritten"])
async def test_a_damaged_ledger_is_kept_aside_and_a_new_one_begun(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger"
    if damage == "no database":
        path.write_bytes(b"this is not a database, whatever its name says" * 100)
    else:
        async with open_ledger(path) as ledger:
            await ledger.seen([(Key("box", str(n), ""), "x" * 100) for n in range(1000)], 1.0)
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 60_000)
        # As if it were too large to be looked through at each start.
        monkeypatch.setattr("pipeline.ledger.database.CHECK_LIMIT", 0)
        async with open_ledger(path) as ledger:
            with pytest.raises(StateError, match="it is damaged"):
                await ledger.contents("box", [str(n) for n in range(1000)])
    before = path.read_bytes()
    async with open_ledger(path) as ledger:
        assert await ledger.contents("box", ["1"]) == {}
        await bring(ledger)
    (aside,) = tmp_path.glob("ledger.damaged-*[0-9]")
    assert aside.read_bytes() == before


async def test_a_disk_that_refuses_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ledger.database.BUSY_TIMEOUT", 0.001)
    monkeypatch.setattr("pipeline.ledger.writer.RETRY_DELAY", 0.02)
    path = tmp_path / "ledger"
    async with open_ledger(path) as ledger:
        await ledger.begin_poll("box")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # SQLite says "busy" as long as this lasts
            async with anyio.create_task_group() as group:
                group.start_soon(bring, ledger)
                await anyio.sleep(0.1)
                other.execute("ROLLBACK")
        assert (await row(ledger)).state is State.DELIVERED


async def test_a_program_that_stops_waits_no_longer_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ledger.database.BUSY_TIMEOUT", 0.001)
    path = tmp_path / "ledger"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        with pytest.raises(ExceptionGroup) as refused:
            async with open_ledger(path) as ledger:
                other.execute("BEGIN IMMEDIATE")
                async with anyio.create_task_group() as group:
                    group.start_soon(bring, ledger)
                    await anyio.sleep(0.1)
                    ledger.stop_retrying()
        assert refused.group_contains(StateError, match="can't be written")
