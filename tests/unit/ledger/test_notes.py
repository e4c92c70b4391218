"""What documents say of others is recorded once, and summed up within bounds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.document import Key
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.summary import MAX_REFUSED, MAX_SAYINGS, NoteCount, Refusal, summarise
from pipeline.note import Note, identity_of

pytestmark = pytest.mark.anyio

KEY = Key("box", "1", "")
NOTE = Note("BE1", "F-1", "Customer", "rejected", False, "too dear", 7)


async def test_a_note_is_recorded_once(place: LedgerPlace) -> None:
    for at in (1.0, 2.0):
        async with open_ledger(place) as ledger:
            await ledger.note([(KEY, NOTE), (KEY, NOTE), (Key("other", "9", "r"), NOTE)], at)
            await ledger.note([], at)
    told = summarise(place)
    assert told.answers == (NoteCount("BE1", "rejected", 1),)
    assert told.refused == (Refusal("BE1", "F-1", "Customer", "too dear", 1.0),)


async def test_the_latest_refusals_of_each_company_are_told(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        for number in range(MAX_REFUSED + 5):
            for company in ("BE1", "BE2"):
                one = structs.replace(NOTE, company=company, reference=str(number), identity=number)
                await ledger.note([(KEY, one)], float(number))
        for number, accepted in enumerate((True, None)):
            said = structs.replace(NOTE, says="other", accepted=accepted, identity=100 + number)
            await ledger.note([(KEY, said)], 99.0)
    told = summarise(place)
    latest = [str(MAX_REFUSED + 4 - number) for number in range(MAX_REFUSED)]
    for company in ("BE1", "BE2"):
        assert [one.reference for one in told.refused if one.company == company] == latest
    assert told.answers == (
        NoteCount("BE1", "rejected", MAX_REFUSED + 5),
        NoteCount("BE1", "other", 2),
        NoteCount("BE2", "rejected", MAX_REFUSED + 5),
    )


async def test_what_is_said_in_too_many_ways_is_told_in_part(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        many = [structs.replace(NOTE, says=f"code {n}", identity=n) for n in range(MAX_SAYINGS + 9)]
        await ledger.note([(KEY, one) for one in many], 1.0)
    assert len(summarise(place).answers) == MAX_SAYINGS


async def test_a_ledger_of_before_there_were_notes_is_summed_up(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    async with open_ledger(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE notes")
    assert summarise(path).answers == ()
    assert summarise(path).refused == ()


def test_equal_parts_and_no_others_have_one_identity() -> None:
    assert identity_of("a", "b") == identity_of("a", "b")
    assert len({identity_of("a", "b"), identity_of("ab"), identity_of("ab", ""), 1}) == 4
    assert 0 <= identity_of("\ud800") < 2**63
