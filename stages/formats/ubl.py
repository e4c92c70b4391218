"""UBL reader: invoices, credit notes and debit notes of UBL 2.0 to 2.4 (OASIS), in any profile.

Profiles are Peppol BIS 3, e-FFF and others. The parties are cac:AccountingSupplierParty and
cac:AccountingCustomerParty, and no others: payee, tax representative, seller and buyer
(cac:PayeeParty, cac:TaxRepresentativeParty, cac:SellerSupplierParty, cac:BuyerCustomerParty) may be
other companies. Self-billing (types 389 and 261) does not change the roles: the supplier is the one
that supplies, even if the customer issues the invoice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lxml import etree

from pipeline.text import NAME, sanitized
from stages.formats.content import (
    INVOICE_KINDS,
    Content,
    Details,
    Invoice,
    Other,
    with_categories,
)
from stages.formats.elements import all_text, below, children, text_of
from stages.formats.invoice_lines import LineDigest, LinePaths
from stages.formats.party import Identifier, Party
from stages.values.amounts import unsigned_amount
from stages.values.dates import iso_date
from stages.values.identifiers import BELGIAN_SCHEMES, compact

UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
CBC = f"{{{UBL}CommonBasicComponents-2}}"
CAC = f"{{{UBL}CommonAggregateComponents-2}}"

SUPPLIER = "AccountingSupplierParty"
CUSTOMER = "AccountingCustomerParty"

#: The roots that are invoices: their format, and their type if they state none (UNTDID 1001).
ROOTS = {
    f"{{{UBL}Invoice-2}}Invoice": ("ubl-invoice", "380"),
    f"{{{UBL}CreditNote-2}}CreditNote": ("ubl-credit-note", "381"),
    f"{{{UBL}SelfBilledInvoice-2}}SelfBilledInvoice": ("ubl-invoice", "389"),
    f"{{{UBL}SelfBilledCreditNote-2}}SelfBilledCreditNote": ("ubl-credit-note", "261"),
    f"{{{UBL}DebitNote-2}}DebitNote": ("ubl-debit-note", "383"),
    f"{{{UBL}FreightInvoice-2}}FreightInvoice": ("ubl-invoice", "780"),
}
_LINE_PATHS = {
    format_: LinePaths(
        {"cac": CAC[1:-1], "cbc": CBC[1:-1]},
        line=f"cac:{line}",
        amount="cbc:LineExtensionAmount",
        quantity=f"cbc:{quantity}",
        name="cac:Item/cbc:Name",
        description="cac:Item/cbc:Description",
        words=(
            *("cbc:Note", "cbc:AccountingCost", "cac:InvoicePeriod/*"),
            *("cac:OrderLineReference/cbc:LineID", "cac:Item/cac:SellersItemIdentification/cbc:ID"),
        ),
    )
    for format_, line, quantity in (
        ("ubl-invoice", "InvoiceLine", "InvoicedQuantity"),
        ("ubl-credit-note", "CreditNoteLine", "CreditedQuantity"),
        ("ubl-debit-note", "DebitNoteLine", "DebitedQuantity"),
    )
}
LINES = {
    f"{CAC}InvoiceLine": _LINE_PATHS["ubl-invoice"],
    f"{CAC}CreditNoteLine": _LINE_PATHS["ubl-credit-note"],
    f"{CAC}DebitNoteLine": _LINE_PATHS["ubl-debit-note"],
}

#: The texts that are read from the root, the first of each; a credit note of 2.0 has no type.
_TEXTS = {
    f"{CBC}ID": "number",
    f"{CBC}IssueDate": "issue_date",
    f"{CBC}InvoiceTypeCode": "type_code",
    f"{CBC}CreditNoteTypeCode": "type_code",
    f"{CBC}DocumentCurrencyCode": "currency",
    f"{CBC}DueDate": "due_date",
}
_MAIL = "Contact/ElectronicMail"
_SUPPLIER = CAC + SUPPLIER
_CUSTOMER = CAC + CUSTOMER
_TOTAL = f"{CAC}LegalMonetaryTotal"
#: What a debit note has instead.
_REQUESTED = f"{CAC}RequestedMonetaryTotal"
_PARTY = f"{CAC}Party"
_PAYMENT = f"{CAC}PaymentMeans"
_PAYEE = f"{CAC}PayeeParty"
_TERMS = f"{CAC}PaymentTerms"
_TAX_TOTAL = f"{CAC}TaxTotal"
#: What stands before the lines, unless a sender ignores the order of the schema.
_BEFORE_LINES = {_SUPPLIER, _CUSTOMER, _TOTAL}
#: The elements of the root that are read, beside the lines.
_READ = {*_TEXTS, _SUPPLIER, _CUSTOMER, _TOTAL, _REQUESTED, _PAYMENT, _PAYEE, _TERMS, _TAX_TOTAL}
#: Those whose text is compared as a whole (EN 16931: BT-7, BT-10 to BT-14, BT-19, BG-1, BG-3,
#: BG-10, BG-13, BG-14).
_MORE = {
    *(f"{CBC}{name}" for name in ("Note", "TaxPointDate", "AccountingCost", "BuyerReference")),
    *(f"{CAC}{name}" for name in ("InvoicePeriod", "OrderReference", "BillingReference")),
    *(f"{CAC}{name}" for name in ("ContractDocumentReference", "ProjectReference", "Delivery")),
}
#: Whose account pays (BG-19), and by which card (BG-18).
_PAID_BY = {f"{CAC}PaymentMandate", f"{CAC}CardAccount"}

#: The elements of a party that are read.
_PARTS = {
    f"{CBC}EndpointID": "endpoint",
    f"{CAC}PartyIdentification": "identification",
    f"{CAC}PartyName": "name",
    f"{CAC}PostalAddress": "address",
    f"{CAC}PartyTaxScheme": "tax",
    f"{CAC}PartyLegalEntity": "legal",
    f"{CAC}Contact": "contact",
}
_ID = f"{CBC}ID"
_NAME = f"{CBC}Name"
_COMPANY_ID = f"{CBC}CompanyID"
_REGISTRATION_NAME = f"{CBC}RegistrationName"
_COUNTRY = (f"{CAC}Country", f"{CBC}IdentificationCode")
_TAX_SCHEME = f"{CAC}TaxScheme"
_MAIL_ADDRESS = f"{CBC}ElectronicMail"
_PAYABLE = f"{CBC}PayableAmount"
_NET = f"{CBC}TaxExclusiveAmount"
_GROSS = f"{CBC}TaxInclusiveAmount"
_ACCOUNT = f"{CAC}PayeeFinancialAccount"
_REFERENCE = f"{CBC}PaymentID"
_PAYMENT_DUE = f"{CBC}PaymentDueDate"
_MEANS = f"{CBC}PaymentMeansCode"
_NOTE = f"{CBC}Note"
_SUBTOTAL = f"{CAC}TaxSubtotal"
_TAXABLE = f"{CBC}TaxableAmount"
_TAX_AMOUNT = f"{CBC}TaxAmount"
_CATEGORY = f"{CAC}TaxCategory"
_PERCENT = f"{CBC}Percent"

#: Other UBL documents, by what people call them.
_OTHERS = {
    "CatalogueRequest": "a UBL request for a catalogue",
    "DespatchAdvice": "a UBL despatch advice",
    "Order": "a UBL order",
    "OrderCancellation": "a UBL cancellation of an order",
    "OrderChange": "a UBL change of an order",
    "OrderResponse": "a UBL response to an order",
    "OrderResponseSimple": "a UBL response to an order",
    "Quotation": "a UBL quotation",
    "ReceiptAdvice": "a UBL receipt advice",
    "Reminder": "a UBL reminder of unpaid invoices",
    "RemittanceAdvice": "a UBL remittance advice",
    "Statement": "a UBL statement between customer and supplier, not of a bank account",
}


def read(root: etree._Element, lines: LineDigest) -> Content | None:
    """Return the invoice or credit note, another UBL document by its name, else None."""
    if root.tag not in ROOTS:
        return _other(etree.QName(root))
    format_, type_code = ROOTS[root.tag]
    found: dict[str, list[etree._Element]] = {}
    more: list[etree._Element] = []
    for child in root:
        tag = child.tag
        if tag in _READ:
            found.setdefault(tag, []).append(child)
        elif tag in _MORE:
            more.append(child)
        elif tag in LINES and found.keys() >= _BEFORE_LINES:
            break  # the schema has nothing else that is read behind the first line
    texts = {name: text_of(found[tag][0]) for tag, name in _TEXTS.items() if tag in found}
    sums = found.get(_TOTAL) or found.get(_REQUESTED)
    totals = children(sums[0]) if sums else {}
    lines.add(_LINE_PATHS[format_].of_document(root))
    return Invoice(
        format=format_,
        number=texts.get("number", ""),
        issue_date=iso_date(texts.get("issue_date", "")),
        type_code=texts.get("type_code") or type_code,
        currency=texts.get("currency", ""),
        total=text_of(totals.get(_PAYABLE)),
        supplier=_party_in(found.get(_SUPPLIER)),
        customer=_party_in(found.get(_CUSTOMER)),
        supplier_element=SUPPLIER,
        customer_element=CUSTOMER,
        extension="xml",
        details=_details(found, totals, texts.get("due_date", ""), lines, more),
    )


def _party_in(role: Sequence[etree._Element] | None) -> Party:
    return party_of(below(role[0], _PARTY)) if role else Party("", ())


def _details(
    found: Mapping[str, Sequence[etree._Element]],
    totals: Mapping[str, etree._Element],
    due: str,
    lines: LineDigest,
    more: list[etree._Element],
) -> Details:
    """Return what is to be paid, to whom and when (EN 16931: BT-9, BT-83, BT-84, BG-22, BG-23)."""
    payments = [children(one) for one in found.get(_PAYMENT, ())]
    accounts = {compact(text_of(below(one.get(_ACCOUNT), _ID))) for one in payments}
    payee = below(found[_PAYEE][0], f"{CAC}PartyName", _NAME) if _PAYEE in found else None
    taxes = [
        _tax(one) for total in found.get(_TAX_TOTAL, ()) for one in total if one.tag == _SUBTOTAL
    ]
    terms = [children(one) for one in found.get(_TERMS, ())]
    stated = [one.get(_MEANS) for one in payments] + [one.get(_NOTE) for one in terms]
    more += found.get(_PAYEE, ())
    more += [one for payment in payments for tag, one in payment.items() if tag in _PAID_BY]
    due = due or _first(payments, _PAYMENT_DUE) or _first(terms, _PAYMENT_DUE)
    return Details(
        vocabulary="ubl",
        due_date=iso_date(due) or due,
        payees=tuple(sorted(accounts - {""})),
        payee_name=text_of(payee),
        reference=_first(payments, _REFERENCE),
        net=unsigned_amount(text_of(totals.get(_NET))),
        gross=unsigned_amount(text_of(totals.get(_GROSS))),
        taxes=tuple(sorted(tax for tax, _ in taxes)),
        lines=lines.digest(),
        categories=with_categories(taxes),
        terms=" ".join(map(text_of, stated)),
        more=all_text(more) + lines.descriptions(),
        line_words=lines.words(),
    )


def _first(elements: Sequence[Mapping[str, etree._Element]], tag: str) -> str:
    for one in elements:
        if text := text_of(one.get(tag)):
            return text
    return ""


def _tax(subtotal: etree._Element) -> tuple[str, str]:
    """Return base, tax and rate of one group (EN 16931: BG-23), and its category.

    Without a rate it is 0.
    """
    parts = children(subtotal)
    category = children(parts.get(_CATEGORY))
    stated = (parts.get(_TAXABLE), parts.get(_TAX_AMOUNT), category.get(_PERCENT))
    amounts = [unsigned_amount(text_of(one) or "0") for one in stated]
    return " ".join(amounts), text_of(category.get(_ID))


def _other(name: etree.QName) -> Content | None:
    namespace = name.namespace or ""
    if not namespace.startswith(UBL):
        return None
    if not namespace.endswith("-2"):
        what = f"a UBL {sanitized(name.localname, NAME)} of another version than 2"
        return Other("xml", what, "xml", possible_kinds=INVOICE_KINDS)
    local = sanitized(name.localname, NAME)
    what = _OTHERS.get(local, f"a UBL {local}")
    return Other(f"ubl-{local.lower()}", f"{what}, which is no invoice", "xml", is_known=True)


def party_of(party: etree._Element | None) -> Party:
    """Return a party: its identifiers (those of registers first), its name and its country.

    EN 16931: BT-31, BT-32, BT-30, BT-29 and BT-90, BT-34, BT-43; of the customer BT-48, BT-47,
    BT-46, BT-49, BT-58.
    """
    taxes, entities, others, endpoints, contacts = [], [], [], [], []
    legal = name = country = ""
    for child in party if party is not None else ():
        match _PARTS.get(child.tag):
            case "endpoint":
                endpoints.append(_identifier("EndpointID", child))
            case "identification":
                others.append(_identifier("PartyIdentification/ID", below(child, _ID)))
            case "name":
                name = name or text_of(below(child, _NAME))
            case "address":
                country = text_of(below(child, *_COUNTRY))
            case "tax":
                taxes.append(_tax_identifier(child))
            case "legal":
                entity = children(child)
                number = entity.get(_COMPANY_ID)
                entities.append(_identifier("PartyLegalEntity/CompanyID", number))
                legal = legal or text_of(entity.get(_REGISTRATION_NAME))
            case "contact":
                mail = below(child, _MAIL_ADDRESS)
                contacts.append(_identifier(_MAIL, mail, is_contact=True))
    found = (*taxes, *entities, *others, *endpoints, *contacts)
    return Party(legal or name, tuple(one for one in found if one is not None), country)


def _tax_identifier(scheme: etree._Element) -> Identifier | None:
    """Return the identifier of one tax registration of a party (EN 16931: BT-31, BT-32)."""
    parts = children(scheme)
    tax = text_of(below(parts.get(_TAX_SCHEME), _ID)).upper()
    number = parts.get(_COMPANY_ID)
    return _identifier("PartyTaxScheme/CompanyID", number, is_vat=tax in {"VAT", "VA", ""})


def _identifier(
    name: str,
    element: etree._Element | None,
    *,
    is_vat: bool = False,
    is_contact: bool = False,
) -> Identifier | None:
    """Return the identifier in an element, None if there is none; name: of its place."""
    value = text_of(element)
    if element is None or not value:
        return None
    scheme = element.get("schemeID", "").strip()
    if not scheme and element.keys():
        # e-FFF states the register instead of a scheme.
        agencies = (element.get("schemeAgencyName", ""), element.get("schemeAgencyID", ""))
        scheme = next((one for one in agencies if one.upper() in BELGIAN_SCHEMES), "")
    return Identifier(name, scheme, value, is_vat, is_contact)
