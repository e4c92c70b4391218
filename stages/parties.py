"""Who a document's parties are, and which of our companies a party is; names never decide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from stages.identifiers import BELGIAN_PREFIX, compact, enterprise_number
from stages.settings import Company

#: Schemes that say that a number is a Belgian one: of the EAS code list (0208 and the former 9956
#: the enterprise number, 9925 the VAT number), of BIS 2, and the register's own names.
BELGIAN_SCHEMES = {"0208", "9925", "9956", "BE:CBE", "BE:EN", "BE:VAT", "CBE", "KBO", "BCE", "BE"}
#: Schemes that leave the country open: none, and VAT (UNTDID 1153 VA; UN/ECE 5153 in UBL 2.0).
OPEN_SCHEMES = {"", "VA", "VAT", "BTW", "TVA", "UN/ECE 5153"}

#: A scheme in front of the value itself, as in a Peppol participant identifier (0208:0403170701).
_SCHEME = re.compile(r"^([0-9]{4}):(?=.)")
#: A VAT number that begins with a country (EN 16931, BR-CO-9).
_WITH_COUNTRY = re.compile(r"[A-Z]{2}[0-9A-Z]*[0-9]")


class Identifier(Struct, frozen=True):
    """One identifier of a party, as it stands in the document.

    element: where it stands, for the reason. scheme: as stated there, or empty.
    is_vat: whether it stands where only VAT numbers do.
    """

    element: str
    scheme: str
    value: str
    is_vat: bool = False

    def __str__(self) -> str:
        scheme = f"{self.scheme}:" if self.scheme else ""
        return f"{self.element} {scheme}{self.value}"


class Party(Struct, frozen=True):
    """The supplier or the customer of an invoice."""

    name: str
    identifiers: tuple[Identifier, ...]

    def __str__(self) -> str:
        """Who it is, for a reason: the name and every identifier, once."""
        values = ", ".join(dict.fromkeys(one.value for one in self.identifiers))
        return f"{self.name or 'unnamed'} ({values or 'no identifier'})"


class Match(Struct, frozen=True):
    """One of our companies, and the identifier that says so."""

    company: Company
    identifier: Identifier


class Directory:
    """Our companies by every identifier that they have.

    Where a company is configured for several sources, the one of the document's source is meant.
    """

    def __init__(self, companies: Iterable[Company]) -> None:
        self._by_own: dict[str, list[Company]] = {}
        self._by_identifier: dict[str, list[Company]] = {}
        self._by_account: dict[str, list[Company]] = {}
        for company in companies:
            self._by_own.setdefault(company.identifier, []).append(company)
            for text in (company.identifier, *company.identifiers):
                for key in _configured(text):
                    self._by_identifier.setdefault(key, []).append(company)
            for iban in company.accounts:
                # Without country and check digits as well: some statements bear no more.
                for account in (iban, iban[4:]):
                    self._by_account.setdefault(account, []).append(company)

    def named(self, identifier: str, source: str) -> Company | None:
        """The company that is configured under this very identifier."""
        return _of_source(self._by_own.get(identifier, ()), source)

    def find(self, identifiers: Sequence[Identifier], source: str) -> Match | None:
        """The company that bears one of these identifiers; the first that says so."""
        foreign = any(_is_foreign_vat(identifier) for identifier in identifiers)
        for identifier in identifiers:
            for key in spellings(identifier, foreign=foreign):
                if company := _of_source(self._by_identifier.get(key, ()), source):
                    return Match(company, identifier)
        return None

    def holding(self, account: str, source: str) -> Company | None:
        """The company that has this account: an IBAN, or the bank's number inside one."""
        return _of_source(self._by_account.get(compact(account), ()), source)


def spellings(identifier: Identifier, *, foreign: bool = False) -> Iterator[str]:
    """The keys under which an identifier is looked up.

    A Belgian number becomes BE and ten digits. A valid one of bare digits is taken for Belgian
    too, unless its scheme is of something else or its party bears a VAT number of another
    country (foreign).
    """
    scheme, value = identifier.scheme.strip().upper(), identifier.value.strip()
    if match := _SCHEME.match(value):
        scheme, value = match[1], value[match.end() :]
    bare = compact(value)
    stated = scheme in BELGIAN_SCHEMES or BELGIAN_PREFIX.match(bare) is not None
    if stated or (scheme in OPEN_SCHEMES and not foreign):
        if number := enterprise_number(bare):
            yield number
        elif stated:
            # Trial documents bear numbers that fail their check.
            yield from _plain(BELGIAN_PREFIX.sub("", bare))
    yield from _plain(bare)


def _configured(text: str) -> Iterator[str]:
    """The keys of an identifier of a company's own, whose scheme nothing says."""
    if number := enterprise_number(text):
        yield number
    yield from _plain(compact(_SCHEME.sub("", text.strip())))


def _plain(bare: str) -> Iterator[str]:
    if bare:
        # Systems that keep numbers as numbers lose the zeros in front.
        yield (bare.lstrip("0") or "0") if bare.isdecimal() else bare


def _is_foreign_vat(identifier: Identifier) -> bool:
    bare = compact(identifier.value)
    return (
        identifier.is_vat
        and _WITH_COUNTRY.match(bare) is not None
        and BELGIAN_PREFIX.match(bare) is None
    )


def _of_source(found: Sequence[Company], source: str) -> Company | None:
    if not found:
        return None
    return next((company for company in found if company.source == source), found[0])
