"""Amounts are numbers, each in one spelling, and nothing else is one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from stages.values.amounts import amount, plain_amount, same_amount, written_amount

AMOUNTS = st.decimals(-(10**15), 10**15, allow_nan=False, allow_infinity=False, places=4)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        *(("121.00", "121"), ("0121", "121"), ("+121", "121"), ("121.", "121"), (".50", "0.5")),
        *(("-0.00", "0"), ("100", "100"), ("1000000000000000000.10", "1000000000000000000.1")),
        *(("\u221212.50", "-12.5"), (" 12.50\u200b", "12.5"), ("\uff11\uff12", "12")),
    ],
)
def test_one_spelling(text: str, same: str) -> None:
    assert plain_amount(amount(text)) == same
    assert same_amount(text) == same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".",
        "NaN",
        "Infinity",
        "1e5",
        "1E+999999999",
        "1,5",
        "1 000",
        "0x1",
        "9" * 65,
        "1_0",
    ],
)
def test_what_is_no_amount(text: str) -> None:
    assert amount(text) is None


@given(AMOUNTS, st.integers(0, 5), st.integers(0, 5))
def test_zeros_change_nothing(value: Decimal, front: int, behind: int) -> None:
    sign, digits = ("-", f"{-value:f}") if value < 0 else ("", f"{value:f}")
    text = sign + "0" * front + digits + "0" * behind
    assert amount(text) == value
    spelt = plain_amount(value)
    assert plain_amount(amount(text)) == spelt
    assert amount(spelt) == value
    assert not spelt.endswith(".")
    assert "E" not in spelt


@pytest.mark.parametrize("value", [None, Decimal("NaN"), Decimal("-Infinity"), Decimal("1E+1000")])
def test_what_has_no_spelling(value: Decimal | None) -> None:
    assert plain_amount(value) == ""


def test_a_zero_has_no_sign_and_no_size() -> None:
    assert plain_amount(Decimal("-0E-1000")) == "0"


@given(st.text(max_size=30))
def test_a_text_that_is_no_amount_stays_as_it_is_seen(text: str) -> None:
    assert same_amount(same_amount(text)) == same_amount(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        *(("1250", "1250"), ("1250,", "1250"), ("1250,00", "1250"), ("1250.5", "1250.5")),
        *(("1.250,00", "1250"), ("1,250.00", "1250"), ("1 250,00", "1250"), ("1'250.00", "1250")),
        *(("1\u2019250", "1250"), ("1\u202f250,5", "1250.5"), ("1.250.000", "1250000")),
        *(("0,500", "0.5"), (",5", "0.5"), ("1250,125", "1250.125"), ("12 345 678", "12345678")),
    ],
)
def test_as_it_is_written(text: str, same: str) -> None:
    assert plain_amount(written_amount(text)) == same


@pytest.mark.parametrize(
    "text", ["", ",", "1.250", "1,250", "1.2.3", "1.25,5.5", "1,000,00", "-1", "1e3", "1 2", "x"]
)
def test_what_is_no_written_amount_or_may_be_two(text: str) -> None:
    assert written_amount(text) is None


@given(AMOUNTS.map(abs), st.sampled_from([",.", ".,", ", ", ".'", ".\u2019"]))
def test_written_amounts_come_back(value: Decimal, signs: str) -> None:
    point, thousands = signs
    text = f"{value:,.2f}".replace(".", "!").replace(",", thousands).replace("!", point)
    assert written_amount(text) == value.quantize(Decimal("0.01"))
