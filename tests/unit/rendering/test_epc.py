"""The QR code of a payment: only where EPC069-12 lets one be, and with what it asks for."""

from __future__ import annotations

import pytest
from msgspec import structs

from stages.rendering.epc import Payment, epc_text, modules

PAYMENT = Payment("30", "EUR", "1234.5", "Bakkerij Peeters", "BE68 5390 0754 7034", "", "F-1")


def test_the_text_has_the_lines_of_the_standard() -> None:
    assert epc_text(PAYMENT).split("\n") == [
        *("BCD", "002", "1", "SCT", "", "Bakkerij Peeters", "BE68539007547034", "EUR1234.50"),
        *("", "", "F-1"),
    ]


def test_a_creditor_reference_stands_in_its_own_line() -> None:
    text = epc_text(structs.replace(PAYMENT, reference="RF18 5390 0754 7034", bic="KREDBEBB"))
    assert text.split("\n")[4:] == [
        *("KREDBEBB", "Bakkerij Peeters", "BE68539007547034", "EUR1234.50", ""),
        "RF18539007547034",
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"currency": "USD"},
        {"currency": ""},
        {"means": "49"},
        {"means": "59"},
        {"means": "48"},
        {"account": "BE68539007547035"},
        {"account": "TR330006100519786457841326"},
        {"account": "1234"},
        {"account": ""},
        {"amount": "0.00"},
        {"amount": "-5.00"},
        {"amount": "1.234"},
        {"amount": "1000000000.00"},
        {"amount": "12,10"},
        {"name": " "},
    ],
)
def test_there_is_none_where_the_rules_forbid_it(changed: dict[str, str]) -> None:
    assert epc_text(structs.replace(PAYMENT, **changed)) == ""


def test_long_names_and_references_are_cut_and_all_fits() -> None:
    text = epc_text(structs.replace(PAYMENT, name="n" * 200, reference="r" * 300))
    assert text.split("\n")[5] == "n" * 70
    assert text.split("\n")[10] == "r" * 140
    assert epc_text(structs.replace(PAYMENT, name="株" * 70, reference="株" * 140)) == ""


def test_the_modules_have_their_finders() -> None:
    found = modules(epc_text(PAYMENT))
    size = len(found)
    assert all(len(line) == size for line in found)
    assert size <= 69  # version 13
    for row, column in ((0, 0), (0, size - 7), (size - 7, 0)):
        assert all(found[row][column : column + 7])
