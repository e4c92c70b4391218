"""Invoices made to measure, for tests."""

from __future__ import annotations

from pipeline.payload import Payload
from stages.formats.content import Invoice
from stages.formats.xml import content_of

UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
SUPPLIER = '<cbc:EndpointID schemeID="0208">0403170701</cbc:EndpointID>'
CUSTOMER = '<cbc:EndpointID schemeID="0208">0417497106</cbc:EndpointID>'


def payload(text: str | bytes) -> Payload:
    data = text.encode() if isinstance(text, str) else text
    return Payload(len(data), sha256="", data=data)


def ubl(
    supplier: str = SUPPLIER,
    customer: str = CUSTOMER,
    *,
    root: str = "Invoice",
    before: str = "",
    after: str = "",
    declaration: str = '<?xml version="1.0" encoding="UTF-8"?>',
    lines: int = 2,
) -> str:
    """An invoice; supplier and customer: what is in their cac:Party."""
    line = f"<cac:{root.removeprefix('SelfBilled')}Line><cbc:ID>1</cbc:ID></cac:{root}Line>"
    line = line.replace("</cac:SelfBilled", "</cac:")
    return (
        f'{declaration}<{root} xmlns="{UBL}{root}-2" xmlns:cac="{UBL}CommonAggregateComponents-2" '
        f'xmlns:cbc="{UBL}CommonBasicComponents-2"><cbc:ID>F-1</cbc:ID>'
        f"<cbc:IssueDate>2026-02-01</cbc:IssueDate>"
        f"<cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>{before}"
        f"<cac:AccountingSupplierParty><cac:Party>{supplier}</cac:Party>"
        f"</cac:AccountingSupplierParty>"
        f"<cac:AccountingCustomerParty><cac:Party>{customer}</cac:Party>"
        f"</cac:AccountingCustomerParty>{after}<cac:LegalMonetaryTotal>"
        f'<cbc:PayableAmount currencyID="EUR">12.10</cbc:PayableAmount></cac:LegalMonetaryTotal>'
        f"{line * lines}</{root}>"
    )


def attachment(text: str) -> str:
    return (
        "<cac:AdditionalDocumentReference><cbc:ID>a</cbc:ID><cac:Attachment>"
        f'<cbc:EmbeddedDocumentBinaryObject mimeCode="application/pdf" filename="a.pdf">{text}'
        "</cbc:EmbeddedDocumentBinaryObject></cac:Attachment></cac:AdditionalDocumentReference>"
    )


def invoice(text: str | bytes) -> Invoice:
    content = content_of(text.encode() if isinstance(text, str) else text)
    assert isinstance(content, Invoice), content
    return content


def values(text: str | bytes) -> tuple[list[str], list[str]]:
    """The identifiers of the supplier and of the customer."""
    found = invoice(text)
    return (
        [one.value for one in found.supplier.identifiers],
        [one.value for one in found.customer.identifiers],
    )
