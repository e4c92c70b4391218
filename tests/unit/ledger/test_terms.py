"""What a person types is a word, a day or an amount, in the spellings of three languages."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from pipeline.ledger.terms import MAX_WORDS, day_of, local_days, terms_of
from pipeline.monitor.page.languages import languages
from pipeline.text import printable


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("1250", {"1250"}),
        ("1250.5", {"1250.5"}),
        ("1.250,50", {"1250.5"}),
        ("1,250.50", {"1250.5"}),
        ("1 250,50", {"1250.5"}),
        ("1.250", {"1.25", "1250"}),
        ("1\u202f250,50 \u20ac", {"1250.5"}),
        ("EUR 12,00", {"12"}),
        ("-12,5", {"12.5"}),
        ("0", {"0"}),
        ("0,05", {"0.05"}),
        ("acme", set()),
        ("2026-000002", set()),
    ],
)
def test_an_amount_is_known_in_any_spelling(text: str, amounts: set[str]) -> None:
    (term,) = terms_of(text)
    assert set(term.amounts) == amounts


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-01-31", "2026-01-31"),
        ("31/01/2026", "2026-01-31"),
        ("31.1.2026", "2026-01-31"),
        ("31/01/26", "2026-01-31"),
        ("2026/01/31", "2026-01-31"),
        ("20260131", "2026-01-31"),
        ("31 jan 2026", "2026-01-31"),
        ("31 jan. 2026", "2026-01-31"),
        ("31 januari 2026", "2026-01-31"),
        ("1er janvier 2026", "2026-01-01"),
        ("15 ao\u00fbt 2026", "2026-08-15"),
        ("15 AOUT 2026", "2026-08-15"),
        ("3 mrt 2026", "2026-03-03"),
        ("30 sept. 2026", "2026-09-30"),
        ("d\u00e9cembre 2026", "2026-12"),
        ("01/2026", "2026-01"),
        ("2026-01", "2026-01"),
        ("9999-12-31", "9999-12-31"),
        ("2026-01/31", ""),
        ("2026-02-30", ""),
        ("0000-01-01", ""),
        ("2026", ""),
    ],
)
def test_a_day_is_known_in_any_spelling(text: str, day: str) -> None:
    (term,) = terms_of(text)
    assert term.day == day


@pytest.mark.parametrize(
    ("text", "days", "amounts"),
    [
        ("Peeters 1 234,56", ["", ""], [(), ("1234.56",)]),
        ("Peeters 12 \u20ac mei 2026", ["", "", "2026-05"], [(), ("12",), ()]),
        ("31 jan. 2026 Peeters", ["2026-01-31", ""], [(), ()]),
        ("jui 2026", ["", ""], [(), ("2026",)]),
        ("12 345 Peeters", ["", "", ""], [("12",), ("345",), ()]),
    ],
)
def test_days_and_amounts_of_several_words_are_known_among_others(
    text: str, days: list[str], amounts: list[tuple[str, ...]]
) -> None:
    terms = terms_of(text)
    assert [one.day for one in terms] == days
    assert [one.amounts for one in terms] == amounts


@pytest.mark.parametrize("language", ["nl", "fr", "en"])
def test_a_day_is_found_as_the_page_writes_it(language: str) -> None:
    for month in range(1, 13):
        day = f"2026-{month:02d}-03"
        assert day_of(languages()[language].day(day)) == day


def test_a_day_lasts_until_the_next() -> None:
    begin, end = local_days("2026-01-31", "2026-01-31")
    assert end - begin == 86_400
    assert local_days("2026-02", "2026-02") == local_days("1/2/2026", "28 feb 2026")
    assert local_days("2026-01-31", "9999-12-31")[0] == begin
    with pytest.raises(ValueError, match="isoformat"):
        local_days("31/01", "2026-01-31")


@given(st.text())
def test_whatever_is_typed_gives_a_few_terms(text: str) -> None:
    terms = terms_of(text)
    assert len(terms) <= MAX_WORDS
    assert bool(terms) is bool(printable(text[:200]).split())
    for term in terms:
        assert term.delivered is None or term.day
