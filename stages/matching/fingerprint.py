"""Document fingerprint: proves that two documents are the same, whatever route they came by.

A document is the same as another if it has the same bytes. An invoice is the same also in another
form (UBL by one route, a PDF with CII inside by another) if the supplier is the same by a number
that really identifies, no number of either party differs, number, day, currency and total are the
same, and so is what a reader acts on: the account to be paid, the due date, the tax breakdown and
the lines. A statement is the same in the same format if account, number, page, period and balances
are. Without a number other movements might lead to the same balances, so only its bytes prove it.

What only resembles an earlier document is another one: that is never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from msgspec import Struct

from pipeline.ledger.marks import marks
from stages.formats.balances import bears_number
from stages.formats.cii import CREDIT_NOTES
from stages.formats.content import (
    UNKNOWN_PAGE,
    AccountStatement,
    Content,
    Details,
    Invoice,
    Statement,
)
from stages.formats.party import Identifier, Party
from stages.model import Fingerprint
from stages.values.accounts import account_number, is_iban
from stages.values.amounts import amount, plain_amount
from stages.values.identifiers import compact
from stages.values.identity import canonical_number, identifies, is_placeholder, number_kind
from stages.values.schemes import same_scheme, scheme_and_number
from stages.values.text import plain, same_dashes

#: Whether several configured companies have an identifier, given the country of its party.
IsShared = Callable[[Identifier, str], bool]

#: Identifiers of a party that are compared.
MAX_IDENTIFIERS = 16
#: The places of identifiers that EN 16931 tells apart, by the first element of each in UBL and CII.
_PLACES = {
    "PartyTaxScheme": "tax",
    "SpecifiedTaxRegistration": "tax",
    "PartyLegalEntity": "legal",
    "SpecifiedLegalOrganization": "legal",
    "EndpointID": "endpoint",
    "URIUniversalCommunication": "endpoint",
    "EndPointURIUniversalCommunication": "endpoint",
}


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
    number = same_dashes(plain(invoice.number))
    if not number:
        return Fingerprint(())
    supplier, customer = _known(invoice.supplier, is_shared), _customer(invoice.customer)
    own = [one for one in supplier.identifying if one.number not in customer.numbers]
    if not own:
        # Only a name says who issued it: enough for a warning, and not for leaving a document out.
        name = supplier.name
        return Fingerprint((), numbered=("name", name, number) if name else ())
    issuer = _issuer(own)
    numbered = (issuer, number)
    total, details = _total(invoice), invoice.details
    if not invoice.issue_date or not total or details is None:
        return Fingerprint((), numbered=numbered)
    codes = (plain(invoice.type_code), plain(invoice.currency).upper())
    parts = ("invoice", issuer, number, invoice.issue_date, *codes, total)
    return Fingerprint(parts, supplier.marks + customer.marks + _acted_on(details), numbered)


class _Identifying(Struct, frozen=True):
    """A number that really identifies a party, and that no other configured company shares."""

    number: str
    is_vat: bool


class _Known(Struct, frozen=True):
    """What is known of a supplier: its name in one spelling, its numbers, and their marks."""

    name: str
    identifying: tuple[_Identifying, ...]
    marks: str


class _Customer(Struct, frozen=True):
    """What is known of a customer: all its numbers, each in one spelling, and their marks."""

    numbers: frozenset[str]
    marks: str


@lru_cache(2048)  # the same parties come again and again
def _known(party: Party, is_shared: IsShared) -> _Known:
    country = party.country
    name = _letters(party.name)
    values = [("name", name)] if name else []
    identifying = []
    for one in party.identifiers[:MAX_IDENTIFIERS]:
        if one.is_contact or not identifies(one.scheme, one.value, country, one.is_vat):
            continue
        number = canonical_number(one.scheme, one.value, country, one.is_vat)
        if kind := number_kind(one.scheme, one.value, country, one.is_vat):
            values.append((kind, number))
        if not is_shared(one, country):
            identifying.append(_Identifying(number, one.is_vat))
    return _Known(name, tuple(identifying), marks([*values, *_in_places(party, "s")]))


@lru_cache(2048)
def _customer(party: Party) -> _Customer:
    numbers = frozenset(
        canonical_number(one.scheme, one.value, party.country, one.is_vat)
        for one in party.identifiers
    )
    name = _letters(party.name)
    values = [("c.name", name)] if name else []
    return _Customer(numbers, marks([*values, *_in_places(party, "c")]))


def _in_places(party: Party, side: str) -> Iterator[tuple[str, str]]:
    """Yield the numbers of a party by their place and their kind, whether they identify or not.

    Members of a VAT unit may have the endpoint of one of them, and differ in the legal entity only;
    and a number that a supplier gave itself proves nothing, but it tells two apart.
    """
    for one in party.identifiers[:MAX_IDENTIFIERS]:
        if one.is_contact or is_placeholder(one.value):
            continue
        arguments = (one.scheme, one.value, party.country, one.is_vat)
        kind = number_kind(*arguments) or same_scheme(scheme_and_number(one.scheme, one.value)[0])
        place = _PLACES.get(one.element.partition("/")[0], "id")
        yield f"{side}.{place}.{kind}", canonical_number(*arguments)


def _issuer(own: list[_Identifying]) -> str:
    """Return the number of the supplier that is the same in every form of an invoice.

    A VAT number comes before any other, because every format has it. A Belgian VAT number is the
    enterprise number; for a Belgian supplier any identifier is used that gives it.
    """
    # Several VAT numbers stand in any order; other numbers in that of their places.
    numbers = sorted(one.number for one in own if one.is_vat) or [one.number for one in own]
    return next((one for one in numbers if one.startswith("BE")), numbers[0])


def _total(invoice: Invoice) -> str:
    """Return the amount payable; of a credit note without its sign, which only some write."""
    value = amount(invoice.total)
    if value is None:
        return ""
    is_credit = plain(invoice.type_code) in CREDIT_NOTES or invoice.format == "ubl-credit-note"
    return plain_amount(abs(value) if is_credit else value)


def _acted_on(details: Details) -> str:
    """Return what a reader acts on, as marks.

    What one form of an invoice leaves out contradicts nothing, because not every vocabulary, and
    not every profile of CII, has a place for it. In the same vocabulary it does.
    """
    stated = (
        ("due", details.due_date),
        ("payees", " ".join(details.payees)),
        ("payee", _letters(details.payee_name)),
        ("reference", _letters(details.reference)),
        ("net", details.net),
        ("gross", details.gross),
        ("taxes", "\n".join(details.taxes)),
        ("lines", details.lines),
    )
    there = "".join([name[:1] if value else "-" for name, value in stated])
    vocabulary = details.vocabulary
    words = [one for one in stated if one[1]]
    words.append((vocabulary, there))
    words.append((f"{vocabulary}.terms", _letters(details.terms)))
    words.append((f"{vocabulary}.more", details.more))
    # Under a name of its own, which rows of earlier versions lack: that says nothing.
    words.append((f"{vocabulary}.lines", details.line_words))
    if details.categories:  # older documents have none that can be compared
        words.append(("categories", " ".join(details.categories)))
    return marks(words)


def _letters(text: str) -> str:
    """Return the letters and digits of a text, in lower case."""
    if not text or (text.isalnum() and text.isascii()):
        return text.casefold()
    return "".join(filter(str.isalnum, plain(text).casefold()))


def _statement(statement: Statement) -> Fingerprint:
    parts: list[str] = ["statement", statement.format]
    banks: list[tuple[str, str]] = []
    for at, part in enumerate(statement.parts):
        if not _identifies(part):
            return Fingerprint(())
        stated = part.accounts[0]
        account = account_number(stated) or stated
        if not is_iban(account):
            banks.append((f"account {at}", compact(stated)))  # two banks may have one number
        parts += (account, part.number, part.page, part.opening, part.closing)
    return Fingerprint(tuple(parts), marks(banks)) if statement.parts else Fingerprint(())


def _identifies(part: AccountStatement) -> bool:
    """Whether no other statement says the same of itself."""
    is_stated = bool(part.accounts and part.opening and part.closing)
    return is_stated and bears_number(part.number) and UNKNOWN_PAGE not in part.page
