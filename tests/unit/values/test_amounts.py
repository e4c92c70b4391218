"""Amounts are numbers, each in one spelling, and nothing else is one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from stages.values.amounts import amount, plain_amount, same_amount

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
