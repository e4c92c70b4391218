"""Who a document's parties are, and which of our companies a party is; names never decide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from msgspec import Struct

from stages.formats.party import Identifier
from stages.identifiers import BELGIAN_PREFIX, BELGIAN_SCHEMES, compact, enterprise_number
from stages.settings import Company

#: Schemes that leave the country open: none; those of numbers for taxes (UNTDID 1153 VA, UN/ECE
#: 5153 in UBL 2.0); those of numbers for taxes and of companies in ISO 20022.
OPEN_SCHEMES = {"", "VA", "VAT", "BTW", "TVA", "UN/ECE 5153", "TXID", "COID"}
#: Schemes of the EAS code list that are VAT numbers of one country.
_VAT_SCHEMES = {
    "9910": "HU",
    "9914": "AT",
    "9920": "ES",
    "9922": "AD",
    "9923": "AL",
    "9924": "BA",
    "9926": "BG",
    "9927": "CH",
    "9928": "CY",
    "9929": "CZ",
    "9930": "DE",
    "9931": "EE",
    "9932": "GB",
    "9933": "EL",
    "9934": "HR",
    "9935": "IE",
    "9936": "LI",
    "9937": "LT",
    "9938": "LU",
    "9939": "LV",
    "9940": "MC",
    "9941": "ME",
    "9942": "MK",
    "9943": "MT",
    "9944": "NL",
    "9945": "PL",
    "9946": "PT",
    "9947": "RO",
    "9948": "RS",
    "9949": "SI",
    "9950": "SK",
    "9951": "SM",
    "9952": "TR",
    "9955": "SE",
    "9957": "FR",
}
#: Other names of schemes of the ISO 6523 code list.
_SAME_SCHEMES = {
    name: scheme
    for scheme, names in {
        "0002": ("SIREN", "SIRENE", "FR:SIRENE"),
        "0007": ("SE:ORGNR",),
        "0009": ("SIRET", "FR:SIRET"),
        "0060": ("DUNS",),
        "0088": ("GLN", "EAN", "GS1"),
        "0106": ("KVK", "NL:KVK"),
        "0184": ("CVR", "DK:CVR"),
        "0190": ("OIN", "NL:OIN"),
        "0192": ("NO:ORGNR",),
        "0199": ("LEI",),
    }.items()
    for name in names
}

#: A scheme in front of the value itself, as in a Peppol participant identifier (0208:0403170701).
_SCHEME = re.compile(r"^(?:ISO6523-ACTORID-UPIS::?)?([0-9]{4}):(?=.)")
#: The same before what a user writes: of BIS 2 (BE:VAT:BE0403170701) and others as well.
_ANY_SCHEME = re.compile(
    r"^(?:ISO6523-ACTORID-UPIS::?)?([0-9]{4}|[A-Z]{2}:[A-Z]{2,8}|[A-Z][A-Z0-9]{1,7}):(?=.)"
)
_VAT_NAME = re.compile(r"([A-Z]{2}):VAT")
#: A VAT number that begins with a country (EN 16931, BR-CO-9).
_WITH_COUNTRY = re.compile(r"[A-Z]{2}[0-9A-Z]*[0-9]")
#: What says that a number is a Belgian one, in front of it.
_BELGIAN = re.compile(
    r"(?:(?:VAT|BTW|TVA|EN):?)*(?:(?:0208|9925|9956):|(?:BE|CBE|KBO|BCE):?(?:[A-Z]{2,3}:?)*[0-9])"
)
#: Words in front of a VAT number that are not of it, and those behind the Norwegian and the Swiss.
_WORD = re.compile(r"^(?:VAT|BTW|TVA)(?:NR|NO)?:?(?=[A-Z]{0,3}[0-9])")
_SUFFIX = re.compile(r"^(NO[0-9]{9})MVA$|^(CHE[0-9]{9})(?:MWST|TVA|IVA)$")


class Match(Struct, frozen=True):
    """One of our companies, and the identifier that says so."""

    company: Company
    identifier: Identifier


class CompanyIndex:
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
                for key in _keys_of_configured(text):
                    self._by_identifier.setdefault(key, []).append(company)
            for iban in company.accounts:
                # Without country and check digits as well: some statements bear no more.
                for account in (iban, iban[4:]):
                    self._by_account.setdefault(account, []).append(company)

    def with_identifier(self, identifier: str, source: str) -> Company | None:
        """The company that is configured under this very identifier."""
        found = self._by_own.get(identifier)
        return _of_source(found, source) if found else None

    def find(
        self, identifiers: Sequence[Identifier], source: str, country: str = ""
    ) -> Match | None:
        """The company that bears one of these identifiers; the first that says so.

        country: of the party's address, if it is known.
        """
        home = country.upper()
        abroad = len(home) == 2 and home != "BE"
        foreign = abroad or any(map(_is_foreign_vat, identifiers))
        for identifier in identifiers:
            for key in lookup_keys(identifier, home, foreign=foreign):
                if found := self._by_identifier.get(key):
                    return Match(_of_source(found, source), identifier)
        return None

    def with_account(self, account: str, source: str) -> Company | None:
        """The company that has this account: an IBAN, or the bank's number inside one."""
        found = self._by_account.get(compact(account))
        return _of_source(found, source) if found else None


@lru_cache(2048)  # the same parties come again and again
def lookup_keys(
    identifier: Identifier, country: str = "", *, foreign: bool = False
) -> tuple[str, ...]:
    """The keys under which an identifier is looked up.

    A Belgian number becomes BE and ten digits. A valid one of bare digits is taken for Belgian
    too, unless its scheme is of something else or its party is of another country (foreign).
    Others are looked up as they are, "*" for companies whose own says no scheme, and with their
    scheme, which is empty if they say none.
    """
    return tuple(_keys_of(identifier, country, foreign=foreign))


def _keys_of(identifier: Identifier, country: str, *, foreign: bool) -> Iterator[str]:
    scheme, value = identifier.scheme.strip().upper(), identifier.value.strip().upper()
    if ":" in value and (match := _SCHEME.match(value)):
        scheme, value = match[1], value[match.end() :]
    bare = compact(value)
    if _states_belgium(scheme, bare):
        yield _belgian(bare)
    elif scheme in OPEN_SCHEMES and not foreign and (number := enterprise_number(bare)):
        yield number
    plain = _plain(bare)
    yield f"*:{plain}"
    yield f"{_scheme(scheme)}:{plain}"
    home = _vat_country(scheme) or (country if identifier.is_vat else "")
    if home and not _WITH_COUNTRY.match(plain):
        yield f"*:{_plain(home + plain)}"


def _keys_of_configured(text: str) -> Iterator[str]:
    """The keys of an identifier of a company's own.

    With a scheme it is matched by that scheme only, or by none; without, by any. Bare digits
    may be a Belgian number and may be something else that looks like one.
    """
    scheme, value = "", text.strip().upper()
    if match := _ANY_SCHEME.match(value):
        scheme, value = match[1], value[match.end() :]
    bare = compact(value)
    if _states_belgium(scheme, bare):
        yield _belgian(bare)
        return
    plain = _plain(bare)
    if home := _vat_country(scheme):
        yield f"*:{plain if _WITH_COUNTRY.match(plain) else _plain(home + plain)}"
    if scheme in OPEN_SCHEMES:
        yield f"*:{plain}"
        if number := enterprise_number(bare):
            yield number
    else:
        yield f"{_scheme(scheme)}:{plain}"
        yield f":{plain}"


def _scheme(scheme: str) -> str:
    return "" if scheme in OPEN_SCHEMES else _SAME_SCHEMES.get(scheme, scheme)


def _vat_country(scheme: str) -> str:
    """The country whose VAT numbers a scheme is of, or nothing."""
    if country := _VAT_SCHEMES.get(scheme):
        return country
    match = _VAT_NAME.fullmatch(scheme)
    return match[1] if match else ""


def _states_belgium(scheme: str, bare: str) -> bool:
    return scheme in BELGIAN_SCHEMES or _BELGIAN.match(bare) is not None


def _belgian(bare: str) -> str:
    """BE and ten digits; those of trial documents may fail their check."""
    if number := enterprise_number(bare):
        return number
    digits = BELGIAN_PREFIX.sub("", bare)
    return f"BE{digits:0>10}"


def _plain(bare: str) -> str:
    """One spelling for each number, without what countries put around their VAT numbers."""
    plain = _WORD.sub("", bare)
    if match := _SUFFIX.match(plain):
        plain = match[1] or match[2]
    return f"EL{plain[2:]}" if plain.startswith("GR") and plain[2:].isdecimal() else plain


def _is_foreign_vat(identifier: Identifier) -> bool:
    if not identifier.is_vat:
        return False
    bare = compact(identifier.value)
    return _WITH_COUNTRY.match(bare) is not None and not _states_belgium("", bare)


def _of_source(found: Sequence[Company], source: str) -> Company:
    return next((company for company in found if company.source == source), found[0])
