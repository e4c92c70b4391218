"""CII reader: UN/CEFACT Cross Industry Invoice D16B (XRechnung, Factur-X, ZUGFeRD 2), ZUGFeRD 1.

The parties are ram:SellerTradeParty and ram:BuyerTradeParty of the trade agreement, and no others
(no tax representative, payee, invoicee or consignee). EN 16931-3-3 says which element means what;
ZUGFeRD 1 has the same elements inside parents of its own.
"""

from __future__ import annotations

from lxml import etree

from stages.formats.content import Content, Invoice, Other
from stages.formats.elements import below, each, text_of
from stages.formats.party import Identifier, Party
from stages.values.dates import iso_date

D16B = "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:"
ZUGFERD_1 = "urn:ferd:CrossIndustryDocument:invoice:"
#: The namespace of most elements, before its version.
RAM = "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:"
#: Orders and despatch advices of the same family (Order-X, Deliver-X).
_SCRDM = "urn:un:unece:uncefact:data:SCRDMCCBDACI"

SELLER = "SellerTradeParty"
BUYER = "BuyerTradeParty"

#: Types of UNTDID 1001 that are credit notes, by EN 16931 and its extensions: 502 and 503 are those
#: of self-billed factored and of prepayment invoices.
CREDIT_NOTES = {
    *("81", "83", "261", "262", "296", "308", "381", "396", "420", "458", "502", "503", "532"),
}

#: The names of the parts of a document: in D16B, in ZUGFeRD 1.
_HEADERS = ("ExchangedDocument", "HeaderExchangedDocument")
_TRANSACTIONS = ("SupplyChainTradeTransaction", "SpecifiedSupplyChainTradeTransaction")
_AGREEMENTS = ("ApplicableHeaderTradeAgreement", "ApplicableSupplyChainTradeAgreement")
_SETTLEMENTS = ("ApplicableHeaderTradeSettlement", "ApplicableSupplyChainTradeSettlement")
_SUMS = (
    "SpecifiedTradeSettlementHeaderMonetarySummation",
    "SpecifiedTradeSettlementMonetarySummation",
)

#: The paths of a party's identifiers.
_PLACES = (
    ("SpecifiedTaxRegistration", "ID"),
    ("SpecifiedLegalOrganization", "ID"),
    ("GlobalID",),
    ("ID",),
    ("URIUniversalCommunication", "URIID"),
    ("EndPointURIUniversalCommunication", "URIID"),
    ("DefinedTradeContact", "EmailURIUniversalCommunication", "URIID"),
)


def read(root: etree._Element) -> Content | None:
    """Return the invoice or credit note, or an order by its name; None for other XML."""
    name = etree.QName(root)
    namespace = name.namespace or ""
    if namespace.startswith(_SCRDM):
        return Other("cii-order", "an order or a despatch advice (CII), which is no invoice", "xml")
    if not (
        (namespace.startswith(D16B) and name.localname == "CrossIndustryInvoice")
        or (namespace.startswith(ZUGFERD_1) and name.localname == "CrossIndustryDocument")
    ):
        return None
    ram = f"{{{RAM}{12 if namespace.startswith(ZUGFERD_1) else 100}}}"
    header = _either(root, f"{{{namespace}}}", _HEADERS)
    trade = _either(root, f"{{{namespace}}}", _TRANSACTIONS)
    agreement = _either(trade, ram, _AGREEMENTS)
    settlement = _either(trade, ram, _SETTLEMENTS)
    sums = _either(settlement, ram, _SUMS)
    due = below(sums, f"{ram}DuePayableAmount")
    type_code = text_of(below(header, f"{ram}TypeCode"))
    return Invoice(
        format="cii-credit-note" if type_code in CREDIT_NOTES else "cii-invoice",
        number=text_of(below(header, f"{ram}ID")),
        issue_date=_day(below(header, f"{ram}IssueDateTime", "{*}DateTimeString")),
        type_code=type_code or "380",
        currency=text_of(below(settlement, f"{ram}InvoiceCurrencyCode")),
        total=text_of(due) or text_of(below(sums, f"{ram}GrandTotalAmount")),
        supplier=_party(below(agreement, ram + SELLER), ram),
        customer=_party(below(agreement, ram + BUYER), ram),
        supplier_element=SELLER,
        customer_element=BUYER,
        extension="xml",
    )


def _either(
    element: etree._Element | None, namespace: str, names: tuple[str, str]
) -> etree._Element | None:
    if element is None:
        return None
    return next(element.iterchildren(*(namespace + name for name in names)), None)


def _party(party: etree._Element | None, ram: str) -> Party:
    """Return a party: its identifiers (those of registers first), its name and its country.

    EN 16931: BT-31, BT-32, BT-30, BT-29, BT-34, BT-43; of the buyer BT-48, BT-47, BT-46, BT-49,
    BT-58.
    """
    children: dict[str, list[etree._Element]] = {}
    for child in party if party is not None else ():
        children.setdefault(child.tag, []).append(child)
    identifiers = tuple(
        Identifier(
            "/".join((first, *rest)),
            scheme := found.get("schemeID", "").strip(),
            value,
            is_vat=scheme == "VA",
            is_contact=first == "DefinedTradeContact",
        )
        for first, *rest in _PLACES
        for child in children.get(ram + first, ())
        for found in each(child, *(ram + name for name in rest))
        if (value := text_of(found))
    )
    country = below(party, f"{ram}PostalTradeAddress", f"{ram}CountryID")
    return Party(text_of(below(party, f"{ram}Name")), identifiers, text_of(country))


def _day(element: etree._Element | None) -> str:
    """Return a day in ISO 8601, from CCYYMMDD (format 102 of code list 2379) or from ISO 8601."""
    return iso_date(text_of(element))
