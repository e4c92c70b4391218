"""UBL 2.0 to 2.4 invoices and credit notes (OASIS; in Peppol BIS Billing 3.0 and others).

Parties: cac:AccountingSupplierParty and cac:AccountingCustomerParty. Self-billing (types 389
and 261) does not change their roles: whoever supplies is the supplier, whoever issues.
"""

from __future__ import annotations

from lxml import etree

from stages.formats.content import INVOICES, Content, Invoice, Other
from stages.parties import Identifier, Party

UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
CBC = f"{{{UBL}CommonBasicComponents-2}}"
CAC = f"{{{UBL}CommonAggregateComponents-2}}"

SUPPLIER = "AccountingSupplierParty"
CUSTOMER = "AccountingCustomerParty"

#: Where a party's identifiers stand (EN 16931: BT-34, BT-31 and BT-32, BT-30, BT-29 and BT-90, and
#: the customer's likewise), and whether it is a place for VAT numbers.
IDENTIFIERS = (
    (f"{CBC}EndpointID", "EndpointID", False),
    (f"{CAC}PartyTaxScheme/{CBC}CompanyID", "PartyTaxScheme/CompanyID", True),
    (f"{CAC}PartyLegalEntity/{CBC}CompanyID", "PartyLegalEntity/CompanyID", False),
    (f"{CAC}PartyIdentification/{CBC}ID", "PartyIdentification/ID", False),
)
NAMES = (f"{CAC}PartyLegalEntity/{CBC}RegistrationName", f"{CAC}PartyName/{CBC}Name")

#: The roots that are invoices: their format, and their type where they don't say it (UNTDID 1001).
ROOTS = {
    f"{{{UBL}Invoice-2}}Invoice": ("ubl-invoice", "380"),
    f"{{{UBL}CreditNote-2}}CreditNote": ("ubl-credit-note", "381"),
    f"{{{UBL}SelfBilledInvoice-2}}SelfBilledInvoice": ("ubl-invoice", "389"),
    f"{{{UBL}SelfBilledCreditNote-2}}SelfBilledCreditNote": ("ubl-credit-note", "261"),
}


def read(root: etree._Element) -> Content | None:
    """The invoice or credit note, another UBL document by its name, or None if it is no UBL."""
    if root.tag not in ROOTS:
        return _other(etree.QName(root))
    format_, type_code = ROOTS[root.tag]
    stated_type = _text(root, f"{CBC}InvoiceTypeCode") or _text(root, f"{CBC}CreditNoteTypeCode")
    return Invoice(
        format=format_,
        number=_text(root, f"{CBC}ID"),
        issue_date=_text(root, f"{CBC}IssueDate"),
        type_code=stated_type or type_code,
        currency=_text(root, f"{CBC}DocumentCurrencyCode"),
        total=_text(root, f"{CAC}LegalMonetaryTotal/{CBC}PayableAmount"),
        supplier=_party(root.find(f"{CAC}{SUPPLIER}/{CAC}Party")),
        customer=_party(root.find(f"{CAC}{CUSTOMER}/{CAC}Party")),
        supplier_element=SUPPLIER,
        customer_element=CUSTOMER,
        extension="xml",
    )


def _other(name: etree.QName) -> Content | None:
    namespace = name.namespace or ""
    if not namespace.startswith(UBL):
        return None
    if not namespace.endswith("-2"):
        what = f"a UBL {name.localname} of another version than 2"
        return Other("xml", what, "xml", may_be=INVOICES)
    return Other(
        f"ubl-{name.localname.lower()}", f"a UBL {name.localname}, which is no invoice", "xml"
    )


def _party(element: etree._Element | None) -> Party:
    if element is None:
        return Party("", ())
    identifiers = tuple(
        Identifier(said, found.get("schemeID", ""), value, is_vat)
        for path, said, is_vat in IDENTIFIERS
        for found in element.iterfind(path)
        if (value := (found.text or "").strip())
    )
    name = next((text for path in NAMES if (text := _text(element, path))), "")
    return Party(name, identifiers)


def _text(element: etree._Element, path: str) -> str:
    return " ".join((element.findtext(path) or "").split())
