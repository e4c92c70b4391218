"""What tells two invoices of one supplier, number, day and total apart, beside what is paid."""

from __future__ import annotations

import re

import pytest

from pipeline.ledger.marks import contradict, marks
from stages.matching.fingerprint import fingerprint
from stages.model import Fingerprint
from tests.helpers.cii import d16b
from tests.helpers.invoices import SUPPLIER, attachment, invoice, ubl

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


LINE = "<cac:InvoiceLine><cbc:ID>1</cbc:ID>"
HEADS = (
    "<cbc:Note>It takes the place of the one before.</cbc:Note>",
    "<cbc:BuyerReference>R-2</cbc:BuyerReference>",
    "<cbc:AccountingCost>4711</cbc:AccountingCost>",
    "<cbc:TaxPointDate>2026-01-31</cbc:TaxPointDate>",
    "<cac:OrderReference><cbc:ID>PO-2</cbc:ID></cac:OrderReference>",
    "<cac:InvoicePeriod><cbc:StartDate>2026-01-01</cbc:StartDate></cac:InvoicePeriod>",
    "<cac:BillingReference><cac:Reference><cbc:ID>F-0</cbc:ID></cac:Reference></cac:BillingReference>",
    "<cac:ContractDocumentReference><cbc:ID>C-2</cbc:ID></cac:ContractDocumentReference>",
    "<cac:Delivery><cbc:ActualDeliveryDate>2026-01-31</cbc:ActualDeliveryDate></cac:Delivery>",
    "<cac:PayeeParty><cac:Party><cbc:ID>0800100144</cbc:ID></cac:Party></cac:PayeeParty>",
    "<cac:PaymentMeans><cac:PaymentMandate><cbc:ID>M</cbc:ID></cac:PaymentMandate></cac:PaymentMeans>",
)


@pytest.mark.parametrize("head", HEADS)
def test_what_one_says_and_the_other_does_not(head: str) -> None:
    assert not is_same(INVOICE, ubl(before=head))
    assert not is_same(ubl(before=head), ubl(before=re.sub("([^<>]+)</cbc", r"\1.3</cbc", head)))
    assert is_same(ubl(before=head), ubl(before=head.replace("><", ">\n  <")))
    assert told(INVOICE).numbered == told(ubl(before=head)).numbered


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<cbc:Note>ma\u00f1ana</cbc:Note>", "<cbc:Note>man\u0303\u200bana</cbc:Note>"),
        ("<cbc:Note>A &amp; B</cbc:Note>", "<cbc:Note><![CDATA[ A & B]]></cbc:Note>"),
        (
            "<cbc:Note>A</cbc:Note><cbc:Note>B</cbc:Note>",
            "<cbc:Note>B</cbc:Note><cbc:Note>A</cbc:Note>",
        ),
        (
            "<cbc:Note>A</cbc:Note><cbc:BuyerReference>B</cbc:BuyerReference>",
            "<cbc:BuyerReference>B</cbc:BuyerReference><cbc:Note/><cbc:Note>A</cbc:Note>",
        ),
        (
            "<cbc:TaxPointDate>2026-01-31</cbc:TaxPointDate>",
            "<cbc:TaxPointDate>2026-01-31+01:00</cbc:TaxPointDate>",
        ),
    ],
)
def test_what_is_said_otherwise_is_the_same(one: str, other: str) -> None:
    assert is_same(ubl(before=one), ubl(before=other))


def described(text: str, name: str = "thing") -> str:
    item = (
        f"<cac:Item><cbc:Description>{text}</cbc:Description><cbc:Name>{name}</cbc:Name></cac:Item>"
    )
    return INVOICE.replace(LINE, LINE + item)


def test_the_description_of_a_line() -> None:
    assert not is_same(described("in January"), described("in February"))
    assert is_same(described("in January"), described("  in\nJanuary "))


def with_line(more: str) -> str:
    return INVOICE.replace(LINE, LINE + more)


SAID = "<cbc:Note>January</cbc:Note>"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SAID, "<cbc:Note>February</cbc:Note>"),
        (SAID, ""),
        ("<cbc:AccountingCost>12</cbc:AccountingCost>", ""),
        ("<cac:InvoicePeriod><cbc:StartDate>1</cbc:StartDate></cac:InvoicePeriod>", ""),
        ("<cac:OrderLineReference><cbc:LineID>1</cbc:LineID></cac:OrderLineReference>", ""),
        (
            (
                "<cac:Item><cac:SellersItemIdentification><cbc:ID>1</cbc:ID>"
                "</cac:SellersItemIdentification></cac:Item>"
            ),
            "<cac:Item/>",
        ),
    ],
)
def test_what_else_a_line_says(one: str, other: str) -> None:
    assert not is_same(with_line(one), with_line(other))
    assert is_same(with_line(one), with_line(one.replace("><", "> <").replace("uary", "uary ")))


def test_a_row_of_an_earlier_version_lacks_what_else_lines_say() -> None:
    now = told(with_line(SAID))
    name_and_value = marks([("ubl.lines", "")])[:4]
    words = [now.marks[at : at + 8] for at in range(0, len(now.marks), 8)]
    earlier = "".join(one for one in words if not one.startswith(name_and_value))
    assert len(earlier) == len(now.marks) - 8
    assert not contradict(now.marks, earlier)


def test_what_is_attached_is_not_what_is_said() -> None:
    more = attachment("JVBERi0xLjQK") + "<cac:Signature><cbc:ID>s</cbc:ID></cac:Signature>"
    assert is_same(INVOICE, ubl(before=more))


def test_cii_is_compared_with_cii() -> None:
    note = "<ram:IncludedNote><ram:Content>It is another one.</ram:Content></ram:IncludedNote>"
    period = "<ram:BillingSpecifiedPeriod><ram:StartDateTime>1</ram:StartDateTime>"
    period += "</ram:BillingSpecifiedPeriod>"
    order = "<ram:BuyerReference>R-2</ram:BuyerReference>"
    first = d16b()
    head = "</rsm:ExchangedDocument>"
    assert not is_same(first, first.replace(head, note + head))
    assert not is_same(first, d16b(others=order))
    assert not is_same(d16b(others=order), d16b(others=order.replace("2", "3")))
    end = "<ram:InvoiceCurrencyCode>"
    assert not is_same(first, first.replace(end, period + end))
    assert is_same(first, first.replace("><", "> <"))


def test_lines_of_cii() -> None:
    note = (
        "<ram:AssociatedDocumentLineDocument><ram:IncludedNote><ram:Content>{}</ram:Content>"
        "</ram:IncludedNote></ram:AssociatedDocumentLineDocument>"
    )
    period = (
        "<ram:SpecifiedLineTradeSettlement><ram:BillingSpecifiedPeriod><ram:StartDateTime>"
        "<udt:DateTimeString>{}</udt:DateTimeString></ram:StartDateTime>"
        "</ram:BillingSpecifiedPeriod></ram:SpecifiedLineTradeSettlement>"
    )

    def with_line(more: str) -> str:
        line = (
            f"<ram:IncludedSupplyChainTradeLineItem>{more}</ram:IncludedSupplyChainTradeLineItem>"
        )
        at = d16b().index("<ram:ApplicableHeaderTradeAgreement>")
        return d16b()[:at] + line + d16b()[at:]

    for said in (note, period):
        assert is_same(with_line(said.format("20260101")), with_line(said.format(" 20260101")))
        assert not is_same(with_line(said.format("20260101")), with_line(said.format("20260201")))


def test_a_national_number_beside_the_iban_is_of_the_same_account() -> None:
    def paid(account: str) -> str:
        means = (
            "<ram:SpecifiedTradeSettlementPaymentMeans><ram:PayeePartyCreditorFinancialAccount>"
            f"{account}</ram:PayeePartyCreditorFinancialAccount>"
            "</ram:SpecifiedTradeSettlementPaymentMeans>"
        )
        end = "<ram:InvoiceCurrencyCode>"
        return d16b().replace(end, means + end)

    iban = "<ram:IBANID>BE68539007547034</ram:IBANID>"
    own = "<ram:ProprietaryID>539-0075470-34</ram:ProprietaryID>"
    assert is_same(paid(iban), paid(iban + own))
    assert not is_same(paid(own), paid(own.replace("34", "35")))
