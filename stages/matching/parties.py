"""Company index: finds the configured company that a party is, by identifiers and never by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from stages.formats.party import Identifier
from stages.identifiers import BELGIAN_PREFIX, BELGIAN_SCHEMES, compact, enterprise_number
from stages.settings import Company

#: Schemes that don't tell the country: none at all; those of tax numbers (UNTDID 1153 VA, UN/ECE
#: 5153 in UBL 2.0); those of tax numbers and of companies in ISO 20022.
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
#: The same in the configuration, where schemes of BIS 2 (BE:VAT:BE0403170701) and others may stand.
_ANY_SCHEME = re.compile(
    r"^(?:ISO6523-ACTORID-UPIS::?)?([0-9]{4}|[A-Z]{2}:[A-Z]{2,8}|[A-Z][A-Z0-9]{1,7}):(?=.)"
)
_VAT_NAME = re.compile(r"([A-Z]{2}):VAT")
#: A VAT number that begins with a country (EN 16931, BR-CO-9).
_WITH_COUNTRY = re.compile(r"[A-Z]{2}[0-9A-Z]*[0-9]")
#: Prefixes that say that a number is a Belgian one.
_BELGIAN = re.compile(
    r"(?:(?:VAT|BTW|TVA|EN):?)*(?:(?:0208|9925|9956):|(?:BE|CBE|KBO|BCE):?(?:[A-Z]{2,3}:?)*[0-9])"
)
#: Words in front of a VAT number that are no part of it; suffixes of Norwegian and Swiss ones.
_WORD = re.compile(r"^(?:VAT|BTW|TVA)(?:NR|NO)?:?(?=[A-Z]{0,3}[0-9])")
_SUFFIX = re.compile(r"^(NO[0-9]{9})MVA$|^(CHE[0-9]{9})(?:MWST|TVA|IVA)$")


class CompanyIndex:
    """The configured companies, indexed by all their identifiers and accounts.

    If a company is configured for several sources, the one of the document's source is returned.
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
                # Some statements state an account without country and check digits.
                for account in (iban, iban[4:]):
                    self._by_account.setdefault(account, []).append(company)

    def with_identifier(self, identifier: str, source: str) -> Company | None:
        """Return the company whose `identifier` in the configuration is exactly this one."""
        found = self._by_own.get(identifier)
        return _of_source(found, source) if found else None

    def having(
        self, identifier: Identifier, source: str, country: str = "", *, foreign: bool = False
    ) -> tuple[Company, ...]:
        """Return the companies that have an identifier: several if they share the number.

        country: of the party. foreign: whether that is outside of Belgium, as is_foreign() says.
        """
        for key in lookup_keys(identifier, country.upper(), foreign=foreign):
            if found := self._by_identifier.get(key):
                return _each_once(found, source)
        return ()

    def is_foreign(self, identifiers: Iterable[Identifier], country: str) -> bool:
        """Whether a party is known to be outside of Belgium, by its address or its VAT number."""
        abroad = len(country) == 2 and country.upper() != "BE"
        return abroad or any(map(_is_foreign_vat, identifiers))

    def with_account(self, account: str, source: str) -> tuple[Company, ...]:
        """Return the companies that have this account: an IBAN, or the national number inside."""
        return _each_once(self._by_account.get(compact(account), ()), source)

    def is_shared(self, identifier: Identifier, country: str) -> bool:
        """Whether several companies have an identifier, such as the number of a VAT unit."""
        return len(self.having(identifier, "", country)) > 1

    def shared_numbers(self) -> list[tuple[str, tuple[Company, ...]]]:
        """Return the numbers and accounts that several companies list, with those companies."""
        found: dict[str, tuple[Company, ...]] = {}
        for key, companies in (*self._by_identifier.items(), *self._by_account.items()):
            # A national account number stands inside the IBAN, which is found as well.
            if len(each := _each_once(companies, "")) > 1 and key not in found:
                number = key.rpartition(":")[2]
                if not any(known.endswith(number) for known in found):
                    found[number] = each
        return list(found.items())


@lru_cache(2048)  # the same parties come again and again
def lookup_keys(
    identifier: Identifier, country: str = "", *, foreign: bool = False
) -> tuple[str, ...]:
    """Return the keys under which the identifier of a party is looked up.

    A Belgian number becomes BE and ten digits. Bare digits that are a valid Belgian number count as
    one too, unless their scheme is that of another register or the party is foreign. Any identifier
    also has the key "*:number", for companies that configure it without a scheme, and the key
    "scheme:number", with "" for the scheme if it states none.

    country: of the party. foreign: whether the party is known to be outside of Belgium.
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
    """Yield the keys under which an identifier of a configured company is found.

    With a scheme it matches only the same scheme or none; without one it matches any. Bare digits
    may be a Belgian number, or a number of another register that looks like one.
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
    """Return the country whose VAT numbers have this scheme, "" for other schemes."""
    if country := _VAT_SCHEMES.get(scheme):
        return country
    match = _VAT_NAME.fullmatch(scheme)
    return match[1] if match else ""


def _states_belgium(scheme: str, bare: str) -> bool:
    return scheme in BELGIAN_SCHEMES or _BELGIAN.match(bare) is not None


def _belgian(bare: str) -> str:
    """Return BE and ten digits; the check digits may be wrong, as in test documents."""
    if number := enterprise_number(bare):
        return number
    digits = BELGIAN_PREFIX.sub("", bare)
    return f"BE{digits:0>10}"


def _plain(bare: str) -> str:
    """Return one spelling for each number, without words and suffixes around VAT numbers."""
    plain = _WORD.sub("", bare)
    if match := _SUFFIX.match(plain):
        plain = match[1] or match[2]
    return f"EL{plain[2:]}" if plain.startswith("GR") and plain[2:].isdecimal() else plain


def _is_foreign_vat(identifier: Identifier) -> bool:
    if not identifier.is_vat:
        return False
    bare = compact(identifier.value)
    return _WITH_COUNTRY.match(bare) is not None and not _states_belgium("", bare)


def is_belgian(identifier: Identifier) -> bool:
    """Whether an identifier says that it is a Belgian enterprise number, and is a valid one."""
    scheme, bare = identifier.scheme.strip().upper(), compact(identifier.value)
    return _states_belgium(scheme, bare) and enterprise_number(bare) is not None


def _each_once(found: Sequence[Company], source: str) -> tuple[Company, ...]:
    """Return each of the companies once: its entry of this source, else the first one."""
    if len(found) == 1:
        return (found[0],)
    each: dict[str, Company] = {}
    for one in found:
        if one.identifier not in each or one.source == source:
            each[one.identifier] = one
    return tuple(each.values())


def _of_source(found: Sequence[Company], source: str) -> Company:
    return next((company for company in found if company.source == source), found[0])
