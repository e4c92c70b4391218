"""Documents are found by what people know of them, and each has a story."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from pipeline.document import Key
from pipeline.errors import StateError
from pipeline.ledger import search
from pipeline.ledger.details import MAX_FIELD, MAX_WHY, Details, decoded, encoded
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import Staged, State
from pipeline.ledger.orders import AGAIN, REDELIVER, Ended, NewAction, NewOrder, OrderBook
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.search import find, keys_of, story
from pipeline.ledger.selection import delivered_between, failed_because, row_of, rows_of
from tests.helpers.ledgers import psycopg_of

pytestmark = pytest.mark.anyio

SHA = "ab" * 32
ACME = Details(
    "F-2026/7", "Caf\u00e9 M\u00dcLLER & Co", "2026-01-31", "-1250.5", "EUR", "", "", "by its VAT"
)


async def bring(ledger: Ledger, id_: str, details: Details, at: float = 5.0, **more: Any) -> Key:
    key = Key(more.pop("source", "box"), id_, "")
    await ledger.seen([(key, f"invoice {id_}")], 1.0)
    name = more.pop("path", f"/books/{id_.replace('/', '-')}.xml")
    one = Staged(
        *(key, "t/1", (), name, more.pop("company", "BE0403170701"), "sales"),
        *(more.pop("sha256", SHA), 9, "Digest", "odd", 3.0),
        details=encoded(details),
    )
    await ledger.stage([one], 4.0)
    await ledger.delivered([(key, "t/1")], at)
    return key


@pytest.fixture
async def path(place: LedgerPlace) -> LedgerPlace:
    async with open_ledger(place) as ledger:
        await bring(ledger, "purchase/71e4", ACME)
        other = Details("100%_sure", "Bakkerij", "2026-02-01", "12")
        await bring(ledger, "purchase/9", other, 6.0, company="BE0428759497", sha256="cd" * 32)
        failed = Key("box", "purchase/bad", "")
        await ledger.seen([(failed, "invoice bad")], 1.0)
        await ledger.quarantined([(failed, "It is of NO company")], 7.0)
    return place


FIRST, OTHER, BAD = (Key("box", f"purchase/{one}", "") for one in ("71e4", "9", "bad"))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("f-2026/7", [FIRST]),
        ("2026/7 caf\u00e9", [FIRST]),
        ("m\u00fcller", [FIRST]),
        ("M\u00dcLLER", [FIRST]),
        ("muller", [FIRST]),
        ("cafe muller", [FIRST]),
        ("Mu\u0308ller", [FIRST]),
        ("b\u00e4kkerij", [OTHER]),
        ("GAR\u00c0GE", [OTHER]),
        ("0403.170.701", [FIRST]),
        ("BE 0403.170.701", [FIRST]),
        ("BE0403/170/701", [FIRST]),
        ("31 jan. 2026", [FIRST]),
        ("bakkerij 1 feb 2026", [OTHER]),
        ("caf\u00e9 1 250,50", [FIRST]),
        ("jan 1970", [OTHER, FIRST]),
        ("9999-12-31", []),
        ("\ud800", []),
        ("1.250,50", [FIRST]),
        ("1250.5", [FIRST]),
        ("12", [OTHER, FIRST]),  # 1250.5 begins so
        ("12,00", [OTHER]),
        ("31/01/2026", [FIRST]),
        ("2026-02", [OTHER]),
        ("1970-01-01", [BAD, OTHER, FIRST][1:]),
        (SHA, [FIRST]),
        (SHA[:10].upper(), [FIRST]),
        ("71e4.xml", []),
        ("71e4", [FIRST]),
        ("purchase-9.xml", [OTHER]),
        ("0403170701", [FIRST]),
        ("%", [OTHER]),
        ("0%_s", [OTHER]),
        ("dupont", [OTHER]),
        ("dupont bakkerij", [OTHER]),
        ("dupont caf\u00e9", []),
        ("invoice", [BAD, OTHER, FIRST]),
        ("' OR 1=1 --", []),
        ("  ", []),
    ],
)
async def test_a_document_is_found(path: LedgerPlace, text: str, keys: list[Key]) -> None:
    names = {"BE0403170701": "Peeters", "BE0428759497": "Gar\u00e1ge Dupont"}
    if text == "71e4.xml":
        keys = [FIRST]  # its file is called so
    assert [one.key for one in find(path, text, companies=names)] == keys


async def test_a_name_that_is_no_text_is_that_of_nothing(path: LedgerPlace) -> None:
    assert keys_of(path, "\udcff") == []


async def test_an_answer_is_bounded_and_goes_on(path: LedgerPlace) -> None:
    pages = [find(path, "invoice", limit=1, offset=number) for number in range(4)]
    assert [[one.key for one in page] for page in pages] == [[BAD], [OTHER], [FIRST], []]


async def test_a_search_that_takes_too_long_is_given_up(
    path: LedgerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PATIENCE", -1.0 if isinstance(path, Path) else 0.001)
    if not isinstance(path, Path):
        # A search of as many documents takes a server longer than that.
        with closing(psycopg_of(path)) as connection:
            connection.execute(
                "INSERT INTO documents (source, id, revision, label, state, seen_at, changed_at)"
                " SELECT 'box', 'n' || n, '', 'invoice', 'seen', 1, 1"
                " FROM generate_series(1, 20000) AS n"
            )
    monkeypatch.setattr("pipeline.ledger.sqlite_connection.STEPS", 1)
    with pytest.raises(StateError, match="took too long"):
        find(path, "invoice")


async def test_a_story_tells_all(path: LedgerPlace) -> None:
    async with open_ledger(path) as ledger:
        book = OrderBook(ledger)
        action = NewAction("jan", "redeliver", "one", "into /x")
        number = await book.record(action, [NewOrder(REDELIVER, FIRST, folder="/x")], at=8.0)
        (order,) = await book.open()
        assert order.delivered_as == Key(AGAIN, str(order.number), "")
        assert await book.left(number) == (1, 0, "")
        again = await bring(ledger, str(order.number), ACME, 9.0, source=AGAIN)
        await book.end([Ended(order.number, True, "/x/7.xml")], 9.0)
        await book.end([Ended(order.number, False, "never mind")], 10.0)
        assert await book.left(number) == (0, 0, "")
        assert await book.open() == []
    told = story(path, FIRST)
    assert told is not None
    assert told.document.state is State.DELIVERED
    assert (told.document.number, told.document.amount, told.why) == (
        "F-2026/7",
        "-1250.5",
        "by its VAT",
    )
    assert (told.size, told.checksum, told.warnings) == (9, "Digest", ("odd",))
    (once,) = told.again
    assert (once.who, once.at, once.folder, once.done, once.result) == (
        *("jan", 8.0, "/x", True, "/x/7.xml"),
    )
    assert [one.action for one in told.actions] == ["redeliver"]
    assert story(path, Key("box", "none", "")) is None
    # What came again is no document of its own.
    assert again not in [one.key for one in find(path, "invoice")]
    found = delivered_between(path, "", 0.0, 100.0)
    assert {one.key for one in found} == {FIRST, OTHER}
    assert [one.key for one in delivered_between(path, "BE0428759497", 6.0, 6.1)] == [OTHER]
    assert delivered_between(path, "", 6.5, 100.0) == []


async def test_a_document_has_the_names_that_people_know(path: LedgerPlace) -> None:
    for name in ("purchase/71e4", "71e4", "box:purchase/71e4", SHA, SHA[:8]):
        assert keys_of(path, name) == [FIRST]
    assert keys_of(path, "1e4") == []
    assert keys_of(path, SHA[:7]) == []
    assert [one.key for one in failed_because(path, "no COMPANY")] == [BAD]
    assert failed_because(path, "another") == []
    assert set(rows_of(path, [FIRST, BAD, Key("box", "none", "")])) == {FIRST, BAD}
    row = row_of(path, BAD)
    assert row is not None
    assert (row.state, row.is_told) == (State.QUARANTINED, False)


async def test_a_pause_and_a_second_try_are_durable(place: LedgerPlace) -> None:
    path = place
    key = Key("box", "1", "")
    async with open_ledger(path) as ledger:
        book = OrderBook(ledger)
        await book.pause("box", "jan", 5.0)
        await ledger.begin_poll("box")
        await ledger.quarantined([(key, "bad")], 2.0)
        await book.set_back([key, FIRST], "again", 3.0)
    async with open_ledger(path) as ledger:
        book = OrderBook(ledger)
        assert await book.paused() == {"box": (5.0, "jan")}
        known = (await ledger.contents("box", ["1"]))["1"][""]
        assert (known.state, known.reason, known.acknowledged_at) == (State.WAITING, "again", None)
        await book.pause("box", "", None)
        assert await book.paused() == {}


async def test_the_number_of_an_order_never_comes_again(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        book = OrderBook(ledger)
        numbers = []
        for _ in range(3):
            await book.record(NewAction("j", "redeliver", ""), [NewOrder(REDELIVER, FIRST)], at=1.0)
            (order,) = await book.open()
            numbers.append(order.number)
            await ledger.change(lambda c: c.execute("DELETE FROM orders").close())
        assert numbers == [1, 2, 3]


texts = st.text()


@given(st.builds(Details, *[texts] * 8))
def test_details_are_read_as_they_were_written(details: Details) -> None:
    text = encoded(details)
    assert len(text) <= 7 * (MAX_FIELD + 1) + MAX_WHY
    read = decoded(text)
    assert encoded(read) == text
    if details.number.isprintable() and len(details.number) <= MAX_FIELD:
        assert read.number == details.number


def test_what_an_older_or_a_later_version_wrote_is_read() -> None:
    assert decoded("") == Details()
    assert decoded("1\n2") == Details("1", "2")
    assert decoded("\n".join("123456789abc")).why == "8"
