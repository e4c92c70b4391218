"""What a person types is a word, a day or an amount, in the spellings of three languages."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from pipeline.ledger.terms import MAX_WORDS, local_days, terms_of


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
        ("2026-01", "2026-01"),
        ("2026-02-30", ""),
        ("0000-01-01", ""),
        ("2026", ""),
    ],
)
def test_a_day_is_known_in_any_spelling(text: str, day: str) -> None:
    (term,) = terms_of(text)
    assert term.day == day


def test_a_day_lasts_until_the_next() -> None:
    begin, end = local_days("2026-01-31", "2026-01-31")
    assert end - begin == 86_400
    with pytest.raises(ValueError, match="isoformat"):
        local_days("31/01", "2026-01-31")


@given(st.text())
def test_whatever_is_typed_gives_a_few_terms(text: str) -> None:
    terms = terms_of(text)
    assert len(terms) <= MAX_WORDS
    assert bool(terms) is bool(text[:200].split())
    for term in terms:
        assert term.delivered is None or term.day
