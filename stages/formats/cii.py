"""CII reader: UN/CEFACT Cross Industry Invoice D16B (XRechnung, Factur-X, ZUGFeRD 2), ZUGFeRD 1.

The parties are ram:SellerTradeParty and ram:BuyerTradeParty of the trade agreement, and no others
(no tax representative, payee, invoicee or consignee). EN 16931-3-3 says which element means what;
ZUGFeRD 1 has the same elements inside parents of its own.
"""

from __future__ import annotations

from lxml import etree

from stages.formats.content import Content, Details, Invoice, Other, with_categories
from stages.formats.elements import all_text, below, children, each, text_of
from stages.formats.invoice_lines import LineDigest, LinePaths
from stages.formats.party import Identifier, Party
from stages.values.amounts import unsigned_amount
from stages.values.dates import iso_date
from stages.values.identifiers import compact

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

#: What is read of a line: in D16B, and in ZUGFeRD 1.
_SETTLED = "{0}/ram:SpecifiedTradeSettlement{1}MonetarySummation/ram:LineTotalAmount"
_LINE_PATHS = {
    f"{{{RAM}{version}}}": LinePaths(
        {"ram": f"{RAM}{version}"},
        line="ram:IncludedSupplyChainTradeLineItem",
        amount=_SETTLED.format(f"ram:{settlement}", level),
        quantity=f"ram:{delivery}/ram:BilledQuantity",
        name="ram:SpecifiedTradeProduct/ram:Name",
        description="ram:SpecifiedTradeProduct/ram:Description",
        words=(
            "ram:AssociatedDocumentLineDocument/ram:IncludedNote/ram:Content",
            "ram:SpecifiedTradeProduct/ram:SellerAssignedID",
            f"ram:{agreement}/ram:BuyerOrderReferencedDocument/ram:LineID",
            f"ram:{settlement}/ram:BillingSpecifiedPeriod/*/*",
            f"ram:{settlement}/ram:ReceivableSpecifiedTradeAccountingAccount/ram:ID",
        ),
    )
    for version, prefix, level in (("100", "Line", "Line"), ("12", "SupplyChain", ""))
    for settlement, delivery, agreement in (
        [f"Specified{prefix}Trade{part}" for part in ("Settlement", "Delivery", "Agreement")],
    )
}
LINES = {f"{ram}IncludedSupplyChainTradeLineItem": one for ram, one in _LINE_PATHS.items()}

_DELIVERIES = ("ApplicableHeaderTradeDelivery", "ApplicableSupplyChainTradeDelivery")
#: The elements whose text is compared as a whole (EN 16931: BT-10 to BT-14, BT-19, BG-1, BG-3,
#: BG-10, BG-13, BG-14).
_MORE = {
    f"{RAM}{version}": {
        f"{{{RAM}{version}}}{name}"
        for name in (
            *("IncludedNote", "BuyerReference", "BuyerOrderReferencedDocument", "ShipToTradeParty"),
            *("SellerOrderReferencedDocument", "ContractReferencedDocument", "PayeeTradeParty"),
            *("SpecifiedProcuringProject", "ActualDeliverySupplyChainEvent"),
            *("BillingSpecifiedPeriod", "InvoiceReferencedDocument"),
            "ReceivableSpecifiedTradeAccountingAccount",
        )
    }
    for version in ("100", "12")
}

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


def read(root: etree._Element, lines: LineDigest) -> Content | None:
    """Return the invoice or credit note, or an order by its name; None for other XML."""
    name = etree.QName(root)
    namespace = name.namespace or ""
    if namespace.startswith(_SCRDM):
        what = "an order or a despatch advice (CII), which is no invoice"
        return Other("cii-order", what, "xml", is_known=True)
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
    if trade is not None:
        lines.add(_LINE_PATHS[ram].of_document(trade))
    delivery = _either(trade, ram, _DELIVERIES)
    read_as_text = _MORE[ram[1:-1]]
    parts = [one for one in (header, agreement, delivery, settlement) if one is not None]
    more = [child for part in parts for child in part if child.tag in read_as_text]
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
        details=_details(settlement, sums, ram, lines, all_text(more)),
    )


def _details(
    settlement: etree._Element | None,
    sums: etree._Element | None,
    ram: str,
    lines: LineDigest,
    more: str,
) -> Details:
    """Return what is to be paid, to whom and when (EN 16931: BT-9, BT-83, BT-84, BG-22, BG-23)."""
    means = list(each(settlement, f"{ram}SpecifiedTradeSettlementPaymentMeans"))
    creditors = [children(below(one, f"{ram}PayeePartyCreditorFinancialAccount")) for one in means]
    accounts = {
        # The national number beside an IBAN is that of the same account.
        compact(text_of(one.get(f"{ram}IBANID")) or text_of(one.get(f"{ram}ProprietaryID")))
        for one in creditors
    }
    payment = list(each(settlement, f"{ram}SpecifiedTradePaymentTerms"))
    due = (below(one, f"{ram}DueDateDateTime", "{*}DateTimeString") for one in payment)
    due_text = next((text for one in due if (text := text_of(one))), "")
    taxes = [_tax(one, ram) for one in each(settlement, f"{ram}ApplicableTradeTax")]
    terms = [text_of(below(one, f"{ram}TypeCode")) for one in means]
    terms += [text_of(below(one, f"{ram}Description")) for one in payment]
    net = ("TaxBasisTotalAmount", "GrandTotalAmount")
    return Details(
        vocabulary="cii",
        due_date=iso_date(due_text) or due_text,
        payees=tuple(sorted(accounts - {""})),
        payee_name=text_of(below(settlement, f"{ram}PayeeTradeParty", f"{ram}Name")),
        reference=text_of(below(settlement, f"{ram}PaymentReference")),
        net=unsigned_amount(text_of(below(sums, ram + net[0]))),
        gross=unsigned_amount(text_of(below(sums, ram + net[1]))),
        taxes=tuple(sorted(tax for tax, _ in taxes)),
        lines=lines.digest(),
        categories=with_categories(taxes),
        terms=" ".join(terms),
        more=more + lines.descriptions(),
        line_words=lines.words(),
    )


def _tax(tax: etree._Element, ram: str) -> tuple[str, str]:
    """Return base, tax and rate of one group, and its category, spelt as those of UBL."""
    parts = children(tax)
    rate = text_of(parts.get(f"{ram}RateApplicablePercent"))
    amounts = (parts.get(f"{ram}BasisAmount"), parts.get(f"{ram}CalculatedAmount"))
    stated = [*map(text_of, amounts), rate or text_of(parts.get(f"{ram}ApplicablePercent"))]
    category = text_of(parts.get(f"{ram}CategoryCode"))
    return " ".join([unsigned_amount(one or "0") for one in stated]), category


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
