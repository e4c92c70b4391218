"""CII: D16B and ZUGFeRD 1, and where the parties' identifiers stand."""

from __future__ import annotations

import pytest

from stages.formats import cii
from stages.formats.content import Other
from stages.formats.xml import content_of
from tests.invoices import invoice

SELLER = (
    '<ram:ID>5201</ram:ID><ram:GlobalID schemeID="0088">5790000436101</ram:GlobalID>'
    "<ram:Name>Seller</ram:Name>"
    '<ram:SpecifiedLegalOrganization><ram:ID schemeID="0002">999999998</ram:ID>'
    "</ram:SpecifiedLegalOrganization>"
    "<ram:DefinedTradeContact><ram:EmailURIUniversalCommunication><ram:URIID>a@b.fr</ram:URIID>"
    "</ram:EmailURIUniversalCommunication></ram:DefinedTradeContact>"
    "<ram:PostalTradeAddress><ram:CountryID>FR</ram:CountryID></ram:PostalTradeAddress>"
    '<ram:URIUniversalCommunication><ram:URIID schemeID="EM">c@d.fr</ram:URIID>'
    "</ram:URIUniversalCommunication>"
    '<ram:SpecifiedTaxRegistration><ram:ID schemeID="FC">201/113/40209</ram:ID>'
    "</ram:SpecifiedTaxRegistration>"
    '<ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">FR11999999998</ram:ID>'
    "</ram:SpecifiedTaxRegistration>"
)
BUYER = (
    '<ram:SpecifiedTaxRegistration><ram:ID schemeID="VA">BE0403170701</ram:ID>'
    "</ram:SpecifiedTaxRegistration>"
)


def d16b(type_code: str = "380", *, old: bool = False, lines: int = 1, others: str = "") -> str:
    date = '<udt:DateTimeString format="102">20260201</udt:DateTimeString>'
    data = (
        f'<rsm:CrossIndustryInvoice xmlns:rsm="{cii.D16B}100" xmlns:ram="{cii.RAM}100" '
        f'xmlns:udt="urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100">'
        f"<rsm:ExchangedDocument><ram:ID>F-1</ram:ID><ram:TypeCode>{type_code}</ram:TypeCode>"
        f"<ram:IssueDateTime>{date}</ram:IssueDateTime></rsm:ExchangedDocument>"
        f"<rsm:SupplyChainTradeTransaction>"
        f"{'<ram:IncludedSupplyChainTradeLineItem/>' * lines}"
        f"<ram:ApplicableHeaderTradeAgreement>{others}"
        f"<ram:SellerTradeParty>{SELLER}</ram:SellerTradeParty>"
        f"<ram:BuyerTradeParty>{BUYER}</ram:BuyerTradeParty>{others}"
        f"</ram:ApplicableHeaderTradeAgreement><ram:ApplicableHeaderTradeSettlement>{others}"
        f"<ram:InvoiceCurrencyCode>EUR</ram:InvoiceCurrencyCode>"
        f"<ram:SpecifiedTradeSettlementHeaderMonetarySummation>"
        f"<ram:GrandTotalAmount>13.10</ram:GrandTotalAmount>"
        f"<ram:DuePayableAmount>12.10</ram:DuePayableAmount>"
        f"</ram:SpecifiedTradeSettlementHeaderMonetarySummation>"
        f"</ram:ApplicableHeaderTradeSettlement></rsm:SupplyChainTradeTransaction>"
        f"</rsm:CrossIndustryInvoice>"
    )
    if old:
        for new, before in (
            (f"{cii.D16B}100", f"{cii.ZUGFERD_1}1p0"),
            (f"{cii.RAM}100", f"{cii.RAM}12"),
            ("CrossIndustryInvoice", "CrossIndustryDocument"),
            ("rsm:ExchangedDocument", "rsm:HeaderExchangedDocument"),
            ("rsm:SupplyChain", "rsm:SpecifiedSupplyChain"),
            ("ApplicableHeaderTrade", "ApplicableSupplyChainTrade"),
            ("SettlementHeaderMonetary", "SettlementMonetary"),
        ):
            data = data.replace(new, before)
    return data


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


@pytest.mark.parametrize("code", ["381", "261", "396", "83"])
def test_credit_notes_by_their_type(code: str) -> None:
    assert invoice(d16b(code)).format == "cii-credit-note"


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
    found = invoice(d16b(lines=120_000))
    assert found.supplier.name == "Seller"
    assert found.total == "12.10"


def test_orders_of_the_family_are_no_invoices() -> None:
    space = "urn:un:unece:uncefact:data:SCRDMCCBDACIOMessageStructure:100"
    content = content_of(f'<a:SCRDMCCBDACIOMessageStructure xmlns:a="{space}"/>'.encode())
    assert isinstance(content, Other)
    assert "order" in content.what
    assert not content.may_be
