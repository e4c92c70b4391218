"""Sentences of other parts are said in the reader's language, and numbers and days in his way."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, strategies as st

from pipeline.language.reasons import reason_and_remedy
from pipeline.language.sentences import Sentences
from pipeline.language.texts import Moment, counted, said
from pipeline.monitor.page.languages import languages, negotiated
from pipeline.monitor.page.plot import HEIGHT, WIDTH, plot
from pipeline.monitor.page.request import own_place

NL, FR, EN = (languages()[code] for code in ("nl", "fr", "en"))


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("fr-BE,fr;q=0.9,en;q=0.5", "fr"),
        ("nl", "nl"),
        ("NL-be", "nl"),
        ("de-DE, nl;q=0.4, fr;q=0.7", "fr"),
        ("de, en;q=0.1", "en"),
        ("fr;q=0, nl;q=0.1", "nl"),
        *((odd, "en") for odd in ("", "de", "*", ";q=1", "fr;q=x", ",,,", "x" * 9999)),
    ],
)
def test_the_language_that_a_browser_wants_most(header: str, code: str) -> None:
    assert negotiated(header) == code


@given(st.text())
def test_any_header_gives_a_language(header: str) -> None:
    assert negotiated(header) in languages()


def test_a_sentence_is_known_by_its_pattern_and_what_fills_it_is_kept() -> None:
    assert NL.sentence('the source answered 503: "x {b} y"') == (
        'de bron antwoordde 503: "x {b} y"'
    )
    # A sentence within a sentence, and a number in it.
    assert FR.sentence("the system says: Permission denied (/srv/a b)") == (
        "le système indique : accès refusé (/srv/a b)"
    )
    assert NL.sentence("only 1,234 of 5,678,000 bytes have arrived") == (
        "er zijn maar 1.234 van de 5.678.000 bytes aangekomen"
    )
    assert EN.sentence("only 1,234 of 5 bytes have arrived").startswith("only 1,234")
    quiet = "no document has come since 2020-03-01 09:05; usually one comes within 7 days"
    assert "1 mrt 2020 09:05" in NL.sentence(quiet)
    assert "7 dagen" in NL.sentence(quiet)


@given(st.text(max_size=700))
def test_what_is_not_known_stays_as_it_is(text: str) -> None:
    assert EN.sentence(text) == text
    assert Sentences({"no {a} such": "geen {a}"}, NL).translated(f"x{text}") == f"x{text}"


def test_a_sentence_that_is_made_to_take_long_does_not() -> None:
    hostile = "the source does not answer by way of the proxy " * 12
    assert NL.sentence(hostile[:600])


def test_the_reason_and_the_remedy_of_what_the_ledger_keeps() -> None:
    label = "purchase invoice 7 (id 1)"
    for recorded, parts in (
        (f"{label}: it is odd. Mend it.", ("it is odd", "Mend it")),
        (f"{label}: it is odd: a. B.", ("it is odd: a", "B")),
        (f"{label}: it is odd.", ("it is odd", "")),
        ("it is odd", ("it is odd", "")),
        ("", ("", "")),
    ):
        assert reason_and_remedy(recorded, label) == parts


def test_numbers_and_times_as_the_reader_writes_them() -> None:
    assert (NL.number(1234567), EN.number(1234567)) == ("1.234.567", "1,234,567")
    assert NL.amount(1234.5) == "€\xa01.234,50"
    assert FR.amount(-121).replace("\xa0", " ").replace("\u202f", " ") == "-121,00 €"
    assert (NL.day("2026-01-31"), FR.day("2026-01-31")) == ("31 jan 2026", "31 janv. 2026")
    assert EN.day("soon") == "soon"
    now = time.time()
    assert NL.moment(now) == time.strftime("%H:%M", time.localtime(now))
    assert "2020" in FR.moment(time.mktime((2020, 3, 1, 9, 5, 0, 0, 0, -1)))


def test_one_and_several() -> None:
    one = ("{n} company gets nothing until then", "{n} companies get nothing until then")
    assert FR.say(counted(*one, 0)) == "0 société ne reçoit rien d'ici là"
    assert FR.say(counted(*one, 2)).startswith("2 sociétés")
    assert NL.say(counted(*one, 1)) == "1 bedrijf krijgt tot dan niets"
    assert EN.say(counted(*one, 1200)).startswith("1,200 companies get")
    # What comes from outside is no template.
    assert EN.say(said("{name} waits", name="{x} {0}")) == "{x} {0} waits"
    assert EN.value(Moment(0.0))


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/\\evil", "evil", "", "/a\r\nX: y"]
)
def test_nobody_is_sent_elsewhere(place: str) -> None:
    assert own_place(place) == "/"


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["purchase", "sales", "unknown"]), st.integers(1, 10**7)),
        min_size=1,
        max_size=25,
    )
)
def test_the_bars_stay_within_the_plot_and_show_each_kind(hours: list[dict[str, int]]) -> None:
    drawn = plot(hours, 0)
    assert len(drawn.bars) == sum(map(len, hours))
    for bar in drawn.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH + 1
        assert bar.y >= -2
        assert 0 < bar.height <= HEIGHT
    assert all(documents > 0 for _, documents in drawn.lines)
