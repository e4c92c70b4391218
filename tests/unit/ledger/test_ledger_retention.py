"""What is forgotten of old rows is what people read, and never what proves a delivery."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from pipeline.document import Key
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import AllocatedName, Duplicate, Staged, State
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.retention import BATCH, LedgerReader, Old
from pipeline.ledger.summary import summarise
from pipeline.note import Note

pytestmark = pytest.mark.anyio

LATER = 90 * 86_400.0
ENDS = ("delivered", "duplicate", "skipped", "quarantined", "waiting", "seen", "staged")


def staged(key: Key, name: str = "out/7.xml", identity: int = 5) -> Staged:
    return Staged(
        *(key, "t/1", (), name, "BE1", "sales", "ab", 9, "Digest", "odd", 3.0),
        identity=identity,
        number_hash=6,
    )


async def bring(ledger: Ledger, key: Key, end: str, at: float, *, told: float | None) -> None:
    await ledger.seen([(key, f"invoice {key.id} of Peeters")], at)
    match end:
        case "staged" | "delivered":
            number = int(key.id)
            await ledger.stage([staged(key, f"out/{number}.xml", number)], at)
            if end == "delivered":
                await ledger.delivered([(key, "t/1")], at)
        case "duplicate":
            await ledger.duplicates([(key, "it is invoice 1 of Peeters")], at)
        case "skipped":
            await ledger.skipped([(key, "by a rule")], at)
        case "quarantined":
            await ledger.quarantined([(key, "Peeters is unknown")], at)
        case "waiting":
            await ledger.waiting([(key, "it is not there")], at)
    if told is not None and end in ENDS[:4]:
        await ledger.acknowledged([key], told)


async def forget(ledger: Ledger, place: LedgerPlace, before: float) -> list[Old]:
    found: list[Old] = []
    last = None
    while some := LedgerReader(place).old(before, last):
        found += some
        last = some[-1].key
        await ledger.shrink([one.key for one in some if one.shrinks], before)
        await ledger.remove([one.key for one in some if not one.shrinks], before)
    return found


async def test_a_shrunk_row_proves_all_that_it_proved(place: LedgerPlace) -> None:
    one, two = Key("box", "1", ""), Key("other", "2", "")
    async with open_ledger(place) as ledger:
        await bring(ledger, one, "delivered", 1.0, told=2.0)
        before = (await ledger.contents("box", ["1"]))["1"][""]
        assert [old.key for old in await forget(ledger, place, LATER)] == [one]
        assert (await ledger.contents("box", ["1"]))["1"][""] == before
        await ledger.seen([(two, "the same by another way")], 3.0)
        (found,) = await ledger.stage([staged(two, "out/9.xml", 1)], 3.0)
        assert found == Duplicate(one, "a document of 1970-01-01", State.DELIVERED)
        # Its name is taken, and another document of its number is said to correct it.
        (named,) = await ledger.stage([staged(two, "out/1.xml", 77)], 3.0)
        assert isinstance(named, AllocatedName)
        assert (named.path, named.corrects) == ("out/1-2.xml", "a document of 1970-01-01")
        await ledger.seen([(one, "listed again")], 4.0)
        assert (await ledger.contents("box", ["1"]))["1"][""] == before
        # There is nothing left to be shrunk.
        assert LedgerReader(place).old(LATER, None) == []
    told = summarise(place)
    assert [(count.company, count.kind) for count in told.counts if count.company] == [
        ("BE1", "sales"),
        ("BE1", "sales"),
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ENDS),
            st.floats(0, 2 * LATER),
            st.none() | st.floats(0, 2 * LATER),
        ),
        max_size=12,
    )
)
async def test_only_what_is_old_and_told_is_touched(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float, float | None]]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    async with open_ledger(path) as ledger:
        await ledger.begin_poll("box")
        for number, (end, at, told) in enumerate(rows):
            await bring(ledger, Key("box", str(number), ""), end, at, told=told)
        before = await ledger.contents("box", map(str, range(len(rows))))
        await forget(ledger, path, LATER)
        after = await ledger.contents("box", map(str, range(len(rows))))
    for number, (end, at, told) in enumerate(rows):
        is_old = at < LATER
        if end in ENDS[:4]:
            is_old = is_old and told is not None and told < LATER
        removed = is_old and end in ("skipped", "quarantined", "waiting", "seen")
        assert (str(number) not in after) == removed, (end, at, told)
        if not removed:
            (known,), (same,) = before[str(number)].values(), after[str(number)].values()
            assert known.state is same.state
            assert known.sha256 == same.sha256
            assert known.acknowledged_at == same.acknowledged_at


async def test_many_rows_go_in_batches(place: LedgerPlace) -> None:
    keys = [Key("box", str(number), "") for number in range(3 * BATCH + 7)]
    async with open_ledger(place) as ledger:
        await ledger.seen([(key, "Peeters") for key in keys], 1.0)
        await ledger.skipped([(key, "Peeters") for key in keys], 1.0)
        await ledger.acknowledged(keys, 2.0)
        await ledger.begin_poll("box")
        assert len(LedgerReader(place).old(LATER, None)) == BATCH
        assert len(await forget(ledger, place, LATER)) == len(keys)
        assert await ledger.contents("box", ["1"]) == {}


async def test_notes_go_with_the_rest(place: LedgerPlace) -> None:
    key = Key("box", "1", "")
    async with open_ledger(place) as ledger:
        for number, at in ((1, 1.0), (2, LATER + 1)):
            note = Note("BE1", f"2026-{number}", "Peeters", "accepted", True, "", number)
            await ledger.note([(key, note)], at)
        assert await ledger.remove_notes(LATER) == 1
        assert await ledger.remove_notes(LATER) == 0
    assert [count.notes for count in summarise(place).answers] == [1]


async def test_the_time_of_the_last_poll_is_known(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await ledger.begin_poll("box")
        assert LedgerReader(place).last_poll_at() is None
        await ledger.polled("box", 5.0)
        await ledger.polled("other", 7.0, "it failed")
        await ledger.begin_poll("box")
        assert LedgerReader(place).last_poll_at() == 7.0
