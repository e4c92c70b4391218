"""What tells two invoices of one supplier, number, day and total apart, beside what is paid."""

from __future__ import annotations

import pytest

from pipeline.ledger.marks import contradict
from stages.matching.fingerprint import fingerprint
from stages.model import Fingerprint
from tests.helpers.invoices import SUPPLIER, invoice, ubl

INVOICE = ubl()


def told(text: str) -> Fingerprint:
    return fingerprint(invoice(text), text, lambda *_: False)


def is_same(one: str, other: str) -> bool:
    first, second = told(one), told(other)
    return first.parts == second.parts and not contradict(first.marks, second.marks)


def identified(*numbers: str, scheme: str = "0088") -> str:
    """An invoice of a supplier with several numbers of one kind."""
    told = "".join(
        f'<cac:PartyIdentification><cbc:ID schemeID="{scheme}">{one}</cbc:ID>'
        "</cac:PartyIdentification>"
        for one in numbers
    )
    return ubl(SUPPLIER + told)


@pytest.mark.parametrize("scheme", ["0088", "SUPPLIER", ""])
def test_a_number_among_several_of_its_kind_that_is_replaced(scheme: str) -> None:
    shared, one, other = "5790000435975", "5790000436101", "5412345000013"
    first = identified(shared, one, scheme=scheme)
    assert not is_same(first, identified(shared, other, scheme=scheme))
    assert is_same(first, identified(one, shared, scheme=scheme))
    assert is_same(first, identified(shared, scheme=scheme))
