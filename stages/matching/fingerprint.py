"""Document fingerprint: proves that two documents are the same, whatever route they came by.

A document is the same as another if it has the same bytes. An invoice is the same also in another
form (UBL by one route, a PDF with CII inside by another) if the supplier is the same by a number
that really identifies, no number of the supplier differs, number, day, currency and total are the
same, and so is what a reader acts on: the account to be paid, the due date, the tax breakdown and
the lines. A statement is the same in the same format if account, number, period and balances are.

What only resembles an earlier document is another one: that is never guessed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from pipeline.ledger.marks import marks
from stages.formats.cii import CREDIT_NOTES
from stages.formats.content import Content, Details, Invoice, Statement
from stages.formats.party import Identifier, Party
from stages.model import Fingerprint
from stages.values.amounts import amount, plain_amount
from stages.values.dates import iso_date
from stages.values.identity import canonical_number, identifies, number_kind
from stages.values.text import plain

#: Whether several configured companies have an identifier, given the country of its party.
IsShared = Callable[[Identifier, str], bool]

#: A value that stands in the marks as it is; any other is replaced by a digest.
_SHORT = re.compile(r"[0-9A-Za-z.+:-]{1,24}")
#: Identifiers of a supplier that are compared.
MAX_IDENTIFIERS = 16


def fingerprint(content: Content, sha256: str, is_shared: IsShared) -> Fingerprint:
    """Return the fingerprint of a document. sha256: of its bytes, without their wrapping."""
    match content:
        case Invoice():
            found = _invoice(content, is_shared)
        case Statement():
            found = _statement(content)
        case _:
            found = Fingerprint(())
    return found if found.parts else Fingerprint(("bytes", sha256), "", found.numbered)


def _invoice(invoice: Invoice, is_shared: IsShared) -> Fingerprint:
    number = plain(invoice.number)
    if not number:
        return Fingerprint(())
    supplier = invoice.supplier
    known = [
        one
        for one in supplier.identifiers[:MAX_IDENTIFIERS]
        if not one.is_contact and identifies(one.scheme, one.value, supplier.country, one.is_vat)
    ]
    theirs = {_number(one, invoice.customer) for one in invoice.customer.identifiers}
    own = [
        one
        for one in known
        if _number(one, supplier) not in theirs and not is_shared(one, supplier.country)
    ]
    if not own:
        # Only a name says who issued it: enough for a warning, and not for leaving a document out.
        name = plain(supplier.name).casefold()
        return Fingerprint((), numbered=("name", name, number) if name else ())
    issuer = _issuer(own, supplier)
    numbered = (issuer, number)
    day, total = iso_date(invoice.issue_date), _total(invoice)
    if not day or not total or invoice.details is None:
        return Fingerprint((), numbered=numbered)
    values: dict[str, set[str]] = {}
    for one in known:
        if kind := number_kind(one.scheme, one.value, supplier.country, one.is_vat):
            values.setdefault(kind, set()).add(_short(_number(one, supplier)))
    parts = ("invoice", issuer, number, day, invoice.type_code, invoice.currency.upper(), total)
    return Fingerprint(parts, marks(values | _acted_on(invoice.details)), numbered)


def _issuer(own: list[Identifier], supplier: Party) -> str:
    """Return the number of the supplier that is the same in every form of an invoice.

    A VAT number comes before any other, because every format has it. A Belgian VAT number is the
    enterprise number; for a Belgian supplier any identifier is used that gives it.
    """
    numbers = [_number(one, supplier) for one in own if one.is_vat]
    numbers = numbers or [_number(one, supplier) for one in own]
    return next((one for one in numbers if one.startswith("BE")), numbers[0])


def _number(identifier: Identifier, party: Party) -> str:
    return canonical_number(identifier.scheme, identifier.value, party.country, identifier.is_vat)


def _total(invoice: Invoice) -> str:
    """Return the amount payable; of a credit note without its sign, which only some write."""
    value = amount(invoice.total)
    if value is None:
        return ""
    return plain_amount(abs(value) if invoice.type_code in CREDIT_NOTES else value)


def _acted_on(details: Details) -> dict[str, set[str]]:
    """Return what a reader acts on, as marks.

    What one form of an invoice leaves out contradicts nothing, because not every vocabulary, and
    not every profile of CII, has a place for it. In the same vocabulary it does.
    """
    stated = {
        "due": details.due_date,
        "payees": " ".join(details.payees),
        "payee": plain(details.payee_name).casefold(),
        "reference": plain(details.reference),
        "net": details.net,
        "gross": details.gross,
        "taxes": "\n".join(details.taxes),
        "lines": details.lines,
    }
    there = "".join(name[:1] if value else "-" for name, value in stated.items())
    return {name: {_short(value)} for name, value in stated.items() if value} | {
        details.vocabulary: {there}
    }


def _short(value: str) -> str:
    if _SHORT.fullmatch(value):
        return value
    return hashlib.sha256(value.encode()).hexdigest()[:16]


def _statement(statement: Statement) -> Fingerprint:
    parts: list[str] = ["statement", statement.format]
    for part in statement.parts:
        if not (part.accounts and part.opening and part.closing):
            return Fingerprint(())
        parts += (part.accounts[0], part.number, part.opening, part.closing)
    return Fingerprint(tuple(parts) if statement.parts else ())
