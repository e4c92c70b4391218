"""CII: D16B and ZUGFeRD 1, and where the parties' identifiers stand."""

from __future__ import annotations

import pytest

from stages.formats.content import Other
from stages.formats.xml import content_of
from tests.helpers.cases import case
from tests.helpers.cii import d16b
from tests.helpers.invoices import invoice


@pytest.mark.parametrize("old", [False, True])
def test_what_an_invoice_says(old: bool) -> None:
    found = invoice(d16b(old=old))
    assert (found.format, found.type_code) == ("cii-invoice", "380")
    assert (found.number, found.issue_date) == ("F-1", "2026-02-01")
    assert (found.currency, found.total) == ("EUR", "12.10")
    assert (found.supplier.name, found.supplier.country) == ("Seller", "FR")
    assert [(one.scheme, one.value) for one in found.supplier.identifiers] == [
        ("FC", "201/113/40209"),
        ("VA", "FR11999999998"),
        ("0002", "999999998"),
        ("0088", "5790000436101"),
        ("", "5201"),
        ("EM", "c@d.fr"),
        ("", "a@b.fr"),
    ]
    assert [one.is_vat for one in found.supplier.identifiers[:2]] == [False, True]
    assert [one.value for one in found.customer.identifiers] == ["BE0403170701"]


@pytest.mark.parametrize("code", ["381", "261", "396", "83", "502", "503", "532"])
def test_credit_notes_by_their_type(code: str) -> None:
    assert invoice(d16b(code)).format == "cii-credit-note"


@pytest.mark.parametrize("name", ["minus.xml", "plus.xml"])
def test_a_factored_credit_note_is_one_with_and_without_a_sign(name: str) -> None:
    data = case("17-credit-note-502", name).read_bytes()
    assert invoice(data).format == "cii-credit-note"


@pytest.mark.parametrize("code", ["380", "384", "389", "326", "875", "751"])
def test_other_types_are_invoices(code: str) -> None:
    assert invoice(d16b(code)).format == "cii-invoice"


@pytest.mark.parametrize(
    "other",
    [
        *("SellerTaxRepresentativeTradeParty", "PayeeTradeParty", "InvoiceeTradeParty"),
        *("ProductEndUserTradeParty", "BuyerAgentTradeParty", "SalesAgentTradeParty"),
    ],
)
def test_nobody_else_is_a_party(other: str) -> None:
    data = d16b(others=f"<ram:{other}><ram:ID>99</ram:ID></ram:{other}>")
    found = invoice(data)
    for party in (found.supplier, found.customer):
        assert "99" not in [one.value for one in party.identifiers]


def test_a_long_one_keeps_no_lines() -> None:
    found = invoice(d16b(lines=20_000))
    assert found.supplier.name == "Seller"
    assert found.total == "12.10"


def test_orders_of_the_family_are_no_invoices() -> None:
    space = "urn:un:unece:uncefact:data:SCRDMCCBDACIOMessageStructure:100"
    content = content_of(f'<a:SCRDMCCBDACIOMessageStructure xmlns:a="{space}"/>'.encode())
    assert isinstance(content, Other)
    assert "order" in content.description
    assert not content.possible_kinds
