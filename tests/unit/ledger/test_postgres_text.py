"""PostgreSQL keeps every text, and is told everything in its own words."""

from __future__ import annotations

import math
from contextlib import closing

import pytest
from hypothesis import given, strategies as st

from pipeline.document import Key
from pipeline.ledger.connection import Connection
from pipeline.ledger.folding import folded
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.place import LedgerPlace, PostgresPlace, reading
from tests.helpers.ledgers import query

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra 'cluster')")

from pipeline.ledger.postgres_connection import connect, translated
from pipeline.ledger.postgres_text import MARK, restored, stored

pytestmark = pytest.mark.anyio

STRANGE = ["\0", "a\0b", "\ud800", "x\udfffy", MARK, f"{MARK}0000", "\U0010ffff", "é\0\ud83d"]


@given(st.text(st.characters(exclude_categories=())) | st.sampled_from(STRANGE))
def test_each_text_is_stored_and_is_itself_again(text: str) -> None:
    written = stored(text)
    assert "\0" not in written
    assert restored(written.encode().decode()) == text


@given(st.text(st.characters(exclude_categories=()), max_size=3), st.text(max_size=3))
def test_two_texts_are_never_stored_as_one(one: str, other: str) -> None:
    assert (stored(one) == stored(other)) == (one == other)


async def test_ids_of_strange_signs_are_found_again(postgres: str) -> None:
    async with open_ledger(PostgresPlace(postgres)) as ledger:
        await ledger.seen([(Key("box", one, one), f"invoice {one}") for one in STRANGE], 1.0)
        await ledger.skipped([(Key("box", one, one), one) for one in STRANGE], 2.0)
        found = await ledger.contents("box", STRANGE)
        assert {id_: next(iter(rows)) for id_, rows in found.items()} == {s: s for s in STRANGE}
        assert {key.id for key, _ in await ledger.unacknowledged("box")} == set(STRANGE)


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("a = ? AND b = ?", b"a = $1 AND b = $2"),
        ("a = ?2 OR b = ? OR c = ?1", b"a = $2 OR b = $3 OR c = $1"),
        ("a = '?' AND b = '''?''' AND c = ?", b"a = '?' AND b = '''?''' AND c = $1"),
        ("SELECT 1", b"SELECT 1"),
    ],
)
def test_parameters_are_named_as_the_server_does(sql: str, wanted: bytes) -> None:
    assert translated(sql) == wanted


def value(connection: Connection, sql: str, *parameters: object) -> object:
    return connection.execute(f"SELECT {sql}", parameters).fetchone()[0]


async def test_both_databases_say_the_same(place: LedgerPlace) -> None:
    async with open_ledger(place):
        pass
    with reading(place) as connection:
        words = connection.dialect
        for number in (-2.5, -2.0, -0.1, 0.0, 0.5, 1.5, 2.5, 1e12 + 0.5):
            assert value(connection, words.floor("?1"), number) == math.floor(number)
        for at, day in ((0.0, "1970-01-01"), (-1.0, "1969-12-31"), (1.7e9, "2023-11-14")):
            assert value(connection, words.day("?1"), at) == day
        for none in (1e15, -1e15):
            assert value(connection, words.day("?1"), none) is None
        for text in ("Café MÜLLER", "STRASSE straße", "Garçon ÎLE", "e\u0301", "plain", ""):
            assert value(connection, words.folded("CAST(? AS TEXT)"), text) == folded(text)
        assert value(connection, words.contains("'a%b'", "'%'"))
        assert not value(connection, words.contains("'ab'", "'%'"))
        assert value(connection, f"'ABC' {words.like} 'a_c'")
        assert connection.execute(words.columns("no_such_table")).fetchall() == []
        assert ("cursor",) in connection.execute(words.columns("sources")).fetchall()


async def test_texts_are_in_the_order_of_their_bytes(place: LedgerPlace) -> None:
    ids = ["a", "B", "é", "Z", "_", "-", "10", "9", "\U0001f600", "\ufffd"]
    async with open_ledger(place) as ledger:
        await ledger.skipped([(Key("box", one, ""), "") for one in ids], 1.0)
        told = [key.id for key, _ in await ledger.unacknowledged("box")]
    assert told == sorted(ids, key=str.encode)
    ordered = query(place, "SELECT id FROM documents ORDER BY source, id, revision")
    assert [row[0] for row in ordered] == told


def test_a_server_that_does_not_answer_is_given_up(postgres: str) -> None:
    with closing(connect(postgres)) as connection:
        connection.set_limit(0.3)
        with pytest.raises(Exception, match=r"no answer within 0\.3 s"):
            connection.execute("SELECT pg_sleep(60)")
        assert not connection.is_usable


def test_no_password_is_shown(postgres: str) -> None:
    place = PostgresPlace(f"{postgres} password=secret")
    assert "secret" not in f"{place} {place!r}"
